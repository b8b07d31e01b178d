//! A server that has a say in the cipher.
//!
//! RFC 4253 section 7.1 takes the first name of the client's list that the server offers. OpenSSH's clients name
//! chacha20-poly1305 first, on CPUs with instructions for AES as on others. A server that minds leaves out what the client
//! would choose before the server's own favourite, and begins a key exchange: nothing is lost, as all of it takes place
//! after authentication, and a client that names one cipher alone keeps it.

use std::sync::Arc;

use ssh_encoding::Decode;

use crate::cipher::Name;
use crate::helpers::NameList;
use crate::server::Config;
use crate::session::CommonSession;
use crate::Error;

/// The message's number and the cookie.
const BEFORE_NAME_LISTS: usize = 1 + 16;

/// Has keys exchanged anew if another cipher that both know stands before the one in use in the server's list.
pub(crate) fn prefer_ours(common: &mut CommonSession<Arc<Config>>) -> Result<(), Error> {
    let Some(enc) = common.encrypted.as_mut() else { return Ok(()) };
    // There is none while keys are exchanged.
    let Some(exchange) = &enc.exchange else { return Ok(()) };
    let theirs = clients_ciphers(&exchange.client_kex_init)?;
    let Some(offer) = better_offer(&common.config.preferred.cipher, &theirs) else { return Ok(()) };
    let mut config = Config::clone(&common.config);
    config.preferred.cipher = offer.into();
    common.config = Arc::new(config);
    enc.rekey_wanted = true;
    Ok(())
}

/// What a client with this list would have to be offered so that it takes our favourite. `None`: it does already.
fn better_offer(ours: &[Name], theirs: &[String]) -> Option<Vec<Name>> {
    let place = |name: &Name| theirs.iter().position(|theirs| theirs == name.as_ref());
    let favourite = ours.iter().find_map(place)?;
    let offer: Vec<Name> = ours.iter().filter(|name| place(name).is_none_or(|at| at >= favourite)).copied().collect();
    (offer.len() < ours.len()).then_some(offer)
}

/// The names for client to server. russh knows no difference between the directions.
fn clients_ciphers(kex_init: &[u8]) -> Result<Vec<String>, Error> {
    let mut lists = kex_init.get(BEFORE_NAME_LISTS..).ok_or(Error::Inconsistent)?;
    let _key_exchanges = NameList::decode(&mut lists)?;
    let _host_keys = NameList::decode(&mut lists)?;
    Ok(NameList::decode(&mut lists)?.0)
}
