#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::future::{Future, ready};

use super::*;

fn places(count: usize) -> (Vec<Place>, mpsc::UnboundedReceiver<(String, LinkNews)>) {
    let (sender, news) = mpsc::unbounded_channel();
    (Connections::places("berlin", count, sender).unwrap(), news)
}

async fn is_ready(future: impl Future) -> bool {
    tokio::select! {
        biased;
        _ = future => true,
        () = ready(()) => false,
    }
}

fn opened(place: &Place, dialect: Dialect) -> Presence<'_> {
    place.opened("tap0", dialect, "SSH-2.0-Example")
}

#[tokio::test]
async fn the_others_follow_once_the_peer_has_joined_one() {
    let (places, _news) = places(3);
    let [first, second, third] = &places[..] else { unreachable!("three were asked for") };
    assert!(is_ready(first.turn()).await);
    assert!(!is_ready(second.turn()).await);

    let mut one = opened(first, Dialect::Native);
    assert!(!is_ready(second.turn()).await, "the peer has not said yet what it knows");
    one.greeted(true).unwrap();
    assert!(is_ready(second.turn()).await && is_ready(third.turn()).await);
    let mut two = opened(second, Dialect::Native);
    two.greeted(true).unwrap();

    // One that is joined is enough, whichever it is.
    drop(one);
    assert!(is_ready(third.turn()).await);
    drop(two);
    assert!(!is_ready(third.turn()).await);
    assert!(is_ready(first.turn()).await);
}

#[tokio::test]
async fn a_peer_that_joins_nothing_is_left_with_the_first() {
    for dialect in [Dialect::Stock, Dialect::Native] {
        let (places, _news) = places(2);
        let mut one = opened(&places[0], dialect);
        if dialect == Dialect::Native {
            one.greeted(false).unwrap();
        }
        assert!(!is_ready(places[1].turn()).await);
        // It changed its mind after another connection was on its way.
        assert!(opened(&places[1], Dialect::Native).greeted(false).is_err());
    }
}

#[tokio::test]
async fn the_link_is_up_while_a_connection_is() {
    let (places, mut news) = places(2);
    let mut told = || std::iter::from_fn(|| news.try_recv().ok()).map(|(_, news)| news).collect::<Vec<_>>();
    let one = opened(&places[0], Dialect::Native);
    assert!(matches!(told()[..], [LinkNews::Up]));
    let two = opened(&places[1], Dialect::Native);
    drop(one);
    assert!(told().is_empty());
    drop(two);
    assert!(matches!(told()[..], [LinkNews::Down]));
}

#[tokio::test]
async fn no_more_than_a_few_log_in_at_once() {
    let (places, _news) = places(16);
    let mut one = opened(&places[0], Dialect::Native);
    one.greeted(true).unwrap();
    let mut turns = Vec::new();
    for place in &places[1..=AT_ONCE] {
        turns.push(place.turn().await);
    }
    assert!(!is_ready(places[15].turn()).await);
    turns.pop();
    assert!(is_ready(places[15].turn()).await);
}

#[test]
fn each_has_its_place_in_one_bundle() {
    let (places, _news) = places(3);
    let members: Vec<_> = places.iter().map(|place| place.member().unwrap()).collect();
    assert_eq!(
        members.iter().map(|member| (member.number(), member.of())).collect::<Vec<_>>(),
        [(1, 3), (2, 3), (3, 3)]
    );
    assert!(members.iter().all(|member| member.bundle() == members[0].bundle()));
    assert_ne!(self::places(3).0[0].member(), places[0].member(), "another link, another bundle");
    assert_eq!(self::places(1).0[0].member(), None);
    assert_eq!(places[0].native(NativePolicy::Auto), NativePolicy::Auto);
    assert_eq!(places[1].native(NativePolicy::Auto), NativePolicy::Only);
}
