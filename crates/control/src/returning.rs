//! What is done when a port of a bridge has carrier again.

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage},
};
use rtnetlink::LinkBridgePort;

use crate::{
    BridgeParameters, Controller, InterfaceName, ObserveError, Observed, Operation, OperationError, Owned,
    execute::Executor,
    neighbours,
    netlink::{Netlink, NetlinkError},
    observed::Link,
};

/// What [`Controller::port_returned`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Returned {
    /// Neighbours of the bridge that the kernel had to forget, as they may be others now.
    pub forgotten: usize,
    /// The port would have waited for the spanning tree, and forwards.
    pub forwards: bool,
}

/// What was to be done for a port that is back was not done.
#[derive(Debug, thiserror::Error)]
pub enum ReturnError {
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error("{0}")]
    Netlink(#[from] NetlinkError),
    #[error("the spanning tree of the bridge is not as it was: {0}")]
    SpanningTree(#[from] Box<OperationError>),
}

impl Controller {
    /// A port has carrier again. What is behind it may have other Ethernet addresses than before, and a bridge that has
    /// addresses keeps its neighbours however long a port was gone: those that are behind no other port are forgotten.
    /// On a bridge of our own the port forwards at once where the spanning tree would make it wait for nothing: it is the
    /// only one, so that no loop can go through it.
    ///
    /// Does nothing for an interface that is no port of a bridge.
    ///
    /// # Errors
    /// The kernel refused; the port works all the same, later.
    pub async fn port_returned(&self, port: &InterfaceName) -> Result<Returned, ReturnError> {
        let observed = self.observe().await?;
        let Some((bridge_name, bridge, link)) = bridge_of(&observed, port) else {
            return Ok(Returned::default());
        };
        let mut returned = Returned {
            forgotten: neighbours::forget_behind(self.netlink(), bridge.index, link.index).await?,
            forwards: false,
        };
        if waits_for_nothing(&observed, self.owned(), bridge_name, port)
            && is_waiting(self.netlink(), link.index).await?
        {
            self.forward(&observed, bridge_name, bridge, link).await?;
            returned.forwards = true;
        }
        Ok(returned)
    }

    /// The kernel lets nobody set the state of a port while the spanning tree runs.
    async fn forward(
        &self,
        observed: &Observed,
        bridge: &InterfaceName,
        settings: &Link,
        port: &Link,
    ) -> Result<(), ReturnError> {
        let parameters = settings.bridge.unwrap_or_default();
        let spanning_tree = |on| {
            let to = BridgeParameters { stp: Some(on), ..Default::default() };
            Operation::SetBridgeParameters { interface: bridge.clone(), from: parameters.named_in(to), to }
        };
        let mut executor = Executor::new(self.netlink(), observed);
        executor.execute(&spanning_tree(false)).await.map_err(Box::new)?;
        let forward = LinkBridgePort::new(port.index).state(BridgePortState::Forwarding).build();
        let forwards = self.netlink().change(RouteNetlinkMessage::NewLink(forward), 0).await;
        executor.execute(&spanning_tree(true)).await.map_err(Box::new)?;
        Ok(forwards?)
    }
}

/// The name of the bridge that the interface is a port of, that bridge, and the port.
fn bridge_of<'a>(
    observed: &'a Observed,
    port: &InterfaceName,
) -> Option<(&'a InterfaceName, &'a Link, &'a Link)> {
    let link = observed.links.get(port)?;
    let (name, bridge) = observed.links.get_key_value(link.controller.as_ref()?)?;
    bridge.bridge?;
    Some((name, bridge, link))
}

/// Whether the bridge is our own, runs the spanning tree, and has no other port that anything could come back through.
fn waits_for_nothing(
    observed: &Observed,
    owned: &Owned,
    bridge: &InterfaceName,
    port: &InterfaceName,
) -> bool {
    let Some(link) = observed.links.get(bridge) else { return false };
    let is_ours = owned.of(bridge, link).is_some_and(|record| record.created);
    let runs = link.bridge.is_some_and(|parameters| parameters.stp == Some(true));
    let is_other_way = |(name, other): (&InterfaceName, &Link)| {
        name != port && other.controller.as_ref() == Some(bridge) && other.up && other.carrier
    };
    is_ours && runs && !observed.links.iter().any(is_other_way)
}

async fn is_waiting(netlink: &Netlink, port: u32) -> Result<bool, NetlinkError> {
    let answers = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).await?;
    Ok(answers.iter().any(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) if link.header.index == port => {
            matches!(state(link), Some(BridgePortState::Listening | BridgePortState::Learning))
        }
        _ => false,
    }))
}

fn state(link: &LinkMessage) -> Option<BridgePortState> {
    let infos = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    })?;
    let data = infos.iter().find_map(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(data)) => Some(data),
        _ => None,
    })?;
    data.iter().find_map(|info| match info {
        InfoBridgePort::State(state) => Some(*state),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
