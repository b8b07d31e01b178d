use std::time::Duration;

/// How a [`super::FairQueue`] is tuned. The defaults are RFC 8290's, with bounds for a tunnel on one machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The delay that a standing queue may have (RFC 8289 section 4.4).
    pub target: Duration,
    /// How long the delay may exceed the target before something is done: a round trip of the slowest usual path.
    pub interval: Duration,
    /// Bytes that a flow sends in its turn.
    pub quantum: usize,
    /// Number of flows told apart; more share queues.
    pub flows: usize,
    /// Bytes of waiting frames. When exceeded, the fattest flow loses.
    pub limit_bytes: usize,
    /// Bytes of memory in buffers, waiting for frames or for reuse. When exceeded, the fattest flow loses.
    pub limit_memory: usize,
    /// Bytes of control frames that may wait; more go to the flow they belong to.
    pub control_bytes: usize,
    /// CoDel does nothing as long as no more than this waits, in bytes: one frame.
    pub mtu: usize,
    /// Marks packets that allow it, instead of dropping.
    pub ecn: bool,
    /// Makes the assignment of flows to queues unpredictable. Random, once per queue.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            quantum: 1514,
            flows: 1024,
            limit_bytes: 4 << 20,
            limit_memory: 8 << 20,
            control_bytes: 64 << 10,
            mtu: 1514,
            ecn: true,
            seed: 0,
        }
    }
}

impl Settings {
    /// Where eviction stops, in bytes of frames and of memory: a sixteenth below the bounds.
    pub(super) fn relieved(&self) -> (usize, usize) {
        (self.limit_bytes - self.limit_bytes / 16, self.limit_memory - self.limit_memory / 16)
    }
}

/// What became of a frame given to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The frame was taken, which it is unless it is unfit. It may be among the evicted.
    pub queued: bool,
    /// Frames dropped to keep the bounds.
    pub evicted: usize,
}

/// What a queue has done since it was made. Frames, unless it says bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub enqueued_frames: u64,
    pub enqueued_bytes: u64,
    pub dequeued_frames: u64,
    pub dequeued_bytes: u64,
    /// Dropped by CoDel; of a super-frame, one segment at a time.
    pub dropped_codel: u64,
    /// Dropped because the queue was full.
    pub dropped_overflow: u64,
    /// Refused: too short, too long, or no IP packet in a point-to-point tunnel.
    pub dropped_unfit: u64,
    /// Dropped by [`super::FairQueue::clear`].
    pub dropped_clear: u64,
    /// ECN marks in place of drops.
    pub marked: u64,
    /// Control frames that went first.
    pub control_frames: u64,
    /// Control frames that found their class full and were queued as data.
    pub control_demoted: u64,
    /// How long the frame dequeued last has waited.
    pub last_delay: Duration,
}
