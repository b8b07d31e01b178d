//! First-in first-out lists of frames that share one slab, so that many lists cost no memory while they are empty.

use crate::pool::FrameBuf;

#[derive(Debug, Default)]
pub(super) struct Frames {
    nodes: Vec<Node>,
    /// The first unused node.
    free: Option<usize>,
    len: usize,
}

#[derive(Debug)]
struct Node {
    frame: Option<FrameBuf>,
    next: Option<usize>,
}

/// A list inside [`Frames`].
#[derive(Debug, Default)]
pub(super) struct List {
    ends: Option<(usize, usize)>,
}

impl Frames {
    /// Number of frames in all lists.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, list: &mut List, frame: FrameBuf) {
        let node = Node { frame: Some(frame), next: None };
        let index = match self.free {
            Some(index) => {
                self.free = self.node(index).next;
                *self.node(index) = node;
                index
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        list.ends = match list.ends {
            Some((head, tail)) => {
                self.node(tail).next = Some(index);
                Some((head, index))
            }
            None => Some((index, index)),
        };
        self.len += 1;
    }

    pub(super) fn pop(&mut self, list: &mut List) -> Option<FrameBuf> {
        let (head, tail) = list.ends?;
        let free = self.free;
        let node = self.node(head);
        let frame = node.frame.take();
        list.ends = node.next.map(|next| (next, tail));
        node.next = free;
        self.free = Some(head);
        self.len -= 1;
        frame
    }

    pub(super) fn front(&self, list: &List) -> Option<&FrameBuf> {
        self.nodes.get(list.ends?.0)?.frame.as_ref()
    }

    #[expect(clippy::indexing_slicing, reason = "nodes are never removed, so an index stays valid")]
    fn node(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }
}
