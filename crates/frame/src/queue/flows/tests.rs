#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::NetHeader;
use crate::pool::Pool;

const FLOWS: usize = 5;
const QUANTUM: usize = 300;

/// The round robin of RFC 8290 to the letter: one quantum at a time.
#[derive(Default)]
struct Letter {
    waiting: [VecDeque<usize>; FLOWS],
    deficit: [isize; FLOWS],
    new: VecDeque<usize>,
    old: VecDeque<usize>,
}

impl Letter {
    fn put(&mut self, flow: usize, len: usize) {
        self.waiting[flow].push_back(len);
        if !self.new.contains(&flow) && !self.old.contains(&flow) {
            self.deficit[flow] = QUANTUM.cast_signed();
            self.new.push_back(flow);
        }
    }

    fn take(&mut self) -> Option<(usize, usize)> {
        loop {
            let is_new = !self.new.is_empty();
            let list = if is_new { &mut self.new } else { &mut self.old };
            let flow = *list.front()?;
            if self.deficit[flow] <= 0 {
                list.pop_front();
                self.deficit[flow] += QUANTUM.cast_signed();
                self.old.push_back(flow);
            } else if let Some(len) = self.waiting[flow].pop_front() {
                self.deficit[flow] -= len.cast_signed();
                return Some((flow, len));
            } else {
                list.pop_front();
                if is_new && !self.old.is_empty() {
                    self.old.push_back(flow);
                }
            }
        }
    }
}

fn take(flows: &mut Flows, frames: &mut Frames) -> Option<(usize, usize)> {
    loop {
        let flow = flows.next()?;
        if let Some(frame) = flows.pop(frames, flow) {
            flows.charge(flow, frame.len());
            return Some((flow, frame.len()));
        }
        flows.retire(flow);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put { flow: usize, len: usize },
    Take,
}

fn any_step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![1..2 * QUANTUM, 1..100 * QUANTUM];
    prop_oneof![(0..FLOWS, len).prop_map(|(flow, len)| Step::Put { flow, len }), Just(Step::Take)]
}

proptest! {
    #[test]
    fn rounds_that_are_skipped_change_nothing(steps in prop::collection::vec(any_step(), 0..200)) {
        let now = Instant::now();
        let (mut pool, mut frames) = (Pool::new(), Frames::default());
        let mut flows = Flows::new(FLOWS, QUANTUM);
        let mut letter = Letter::default();
        let rest = std::iter::repeat_n(Step::Take, steps.len() + 1);
        for step in steps.into_iter().chain(rest) {
            match step {
                Step::Put { flow, len } => {
                    // The hash in the middle of the flow's share.
                    let hash = u64::MAX / FLOWS as u64 * flow as u64 + u64::MAX / FLOWS as u64 / 2;
                    let frame = pool.frame(now, &NetHeader::default(), &vec![0; len], &[]).unwrap();
                    flows.push(&mut frames, hash, frame);
                    letter.put(flow, len);
                }
                Step::Take => prop_assert_eq!(take(&mut flows, &mut frames), letter.take()),
            }
        }
        prop_assert!(flows.is_empty());
    }
}
