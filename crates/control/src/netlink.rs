//! Requests to the kernel over one rtnetlink socket.

use std::io;

use futures::StreamExt;
use netlink_packet_route::{RouteNetlinkMessage, link::LinkMessage};
use rtnetlink::{
    Handle,
    packet_core::{
        ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
        NlasIterator, parse_string,
    },
    sys::AsyncSocket,
};
use tokio::task::AbortHandle;

/// A connection to the kernel of the network namespace in which it was opened.
pub(crate) struct Netlink {
    handle: Handle,
    driver: AbortHandle,
}

/// The kernel did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    #[error("{}{}", .error, explained(.explanation.as_deref()))]
    Refused {
        error: io::Error,
        /// The kernel's own words (`NLMSGERR_ATTR_MSG`).
        explanation: Option<String>,
    },
    #[error("the network state kept changing while it was read; try again")]
    Unsteady,
    #[error("the netlink socket was closed; start again")]
    Closed,
}

impl NetlinkError {
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { error, .. } => error.raw_os_error(),
            Self::Unsteady | Self::Closed => None,
        }
    }
}

fn explained(explanation: Option<&str>) -> String {
    explanation.map(|text| format!(" ({})", text.trim_end_matches('.'))).unwrap_or_default()
}

impl Netlink {
    /// Opens the socket; must be called within a tokio runtime.
    pub(crate) fn open() -> io::Result<Self> {
        let (mut connection, handle, _) = rtnetlink::new_connection_with_strict_check()?;
        let socket = connection.socket_mut().socket_mut();
        // Kernels before 4.12 have neither; then an error comes without the kernel's words.
        let _ = socket.set_ext_ack(true).and_then(|()| socket.set_cap_ack(true));
        let driver = tokio::spawn(connection).abort_handle();
        Ok(Self { handle, driver })
    }

    /// All answers to a dump request, read in one consistent pass.
    pub(crate) async fn dump(
        &self,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        const PASSES: usize = 8;
        for _ in 0..PASSES {
            if let Some(answers) = self.dump_once(message.clone()).await? {
                return Ok(answers);
            }
        }
        Err(NetlinkError::Unsteady)
    }

    async fn dump_once(
        &self,
        message: RouteNetlinkMessage,
    ) -> Result<Option<Vec<RouteNetlinkMessage>>, NetlinkError> {
        let mut stream = self.send(message, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut answers = Vec::new();
        let mut consistent = true;
        while let Some(answer) = stream.next().await {
            consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                NetlinkPayload::Error(error) => return Err(refused(&error)),
                _ => {}
            }
        }
        Ok(consistent.then_some(answers))
    }

    /// The number of the interface with this name; `None` when there is none.
    pub(crate) async fn index(&self, name: &str) -> Result<Option<u32>, NetlinkError> {
        let mut query = LinkMessage::default();
        query.attributes.push(netlink_packet_route::link::LinkAttribute::IfName(name.to_owned()));
        let mut stream = self.send(RouteNetlinkMessage::GetLink(query), NLM_F_REQUEST)?;
        let mut index = None;
        while let Some(answer) = stream.next().await {
            match answer.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                    index = Some(link.header.index)
                }
                NetlinkPayload::Error(error) => {
                    let error = refused(&error);
                    return if error.errno() == Some(nix::libc::ENODEV) { Ok(None) } else { Err(error) };
                }
                _ => {}
            }
        }
        Ok(index)
    }

    /// One change; `flags` beside `NLM_F_REQUEST` and `NLM_F_ACK`.
    pub(crate) async fn change(&self, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        let mut stream = self.send(message, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        while let Some(answer) = stream.next().await {
            if let NetlinkPayload::Error(error) = answer.payload
                && error.code.is_some()
            {
                return Err(refused(&error));
            }
        }
        Ok(())
    }

    fn send(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<impl futures::Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + use<>, NetlinkError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        self.handle.clone().request(request).map_err(|_| NetlinkError::Closed)
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn refused(error: &ErrorMessage) -> NetlinkError {
    NetlinkError::Refused { error: error.to_io(), explanation: explanation(&error.header) }
}

/// The text among the attributes behind the echoed header of the request, as `NETLINK_CAP_ACK` cuts it.
fn explanation(echo: &[u8]) -> Option<String> {
    const REQUEST_HEADER: usize = 16;
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let attributes = echo.get(REQUEST_HEADER..)?;
    let text = NlasIterator::new(attributes).flatten().find(|nla| nla.kind() == NLMSGERR_ATTR_MSG)?;
    parse_string(text.value()).ok().filter(|text| !text.is_empty())
}
