//! The edits, in reading order. Each is small, has a name for the error message, and says why it is needed.

/// One insertion: `anchor`, which stands exactly once in `file`, becomes `with`.
pub(crate) struct Edit {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) anchor: &'static str,
    pub(crate) with: &'static str,
}

pub(crate) const EDITS: &[Edit] = &[
    // The extension itself lives in extension/tunnel.rs, as ordinary Rust.
    Edit {
        name: "declare the tunnel module",
        file: "lib_inner.rs",
        anchor: "mod parsing;\nmod session;\n",
        with: "mod agreed;\nmod cipher_choice;\nmod identification;\nmod key_use;\nmod output;\nmod parsing;\nmod read_ahead;\nmod session;\npub mod tunnel;\n",
    },
    Edit {
        name: "client handlers have tunnels",
        file: "client/mod.rs",
        anchor: "pub trait Handler: Sized + Send {",
        with: "pub trait Handler: crate::tunnel::WithTunnels + Sized + Send {",
    },
    Edit {
        name: "server handlers have tunnels",
        file: "server/mod.rs",
        anchor: "pub trait Handler: Sized {",
        with: "pub trait Handler: crate::tunnel::WithTunnels + Sized {",
    },
    // Channel types that russh does not know keep what follows the common fields of their open message.
    Edit {
        name: "keep the payload of unknown channel types",
        file: "parsing.rs",
        anchor: "            _ => ChannelType::Unknown { typ },\n",
        with: "            _ => ChannelType::Unknown { typ, payload: crate::tunnel::rest_of(r)? },\n",
    },
    Edit {
        name: "room for the payload of unknown channel types",
        file: "parsing.rs",
        anchor: "    Unknown {\n        typ: String,\n    },",
        with: "    Unknown {\n        typ: String,\n        payload: Vec<u8>,\n    },",
    },
    Edit {
        name: "unknown channel types in the client",
        file: "client/encrypted.rs",
        anchor: "ChannelType::Unknown { typ } => {",
        with: "ChannelType::Unknown { typ, .. } => {",
    },
    Edit {
        name: "unknown channel types in the server",
        file: "server/encrypted.rs",
        anchor: "ChannelType::Unknown { typ } => {",
        with: "ChannelType::Unknown { typ, .. } => {",
    },
    // Asks the handler before russh builds its reply handle, whose drop would send a second, contradicting answer.
    Edit {
        name: "the server asks the handler about every channel",
        file: "server/encrypted.rs",
        anchor: "        let msg = OpenChannelMessage::parse(r)?;\n\n        let sender_channel = if let",
        with: "        let msg = OpenChannelMessage::parse(r)?;\n\
               \x20       if crate::tunnel::answer_open(&mut self.common, handler, &msg).await? {\n\
               \x20           return Ok(());\n\
               \x20       }\n\n\
               \x20       let sender_channel = if let",
    },
    // One session may have to offer less than the others.
    Edit {
        name: "the server's configuration can be copied",
        file: "server/mod.rs",
        anchor: "/// Configuration of a server.\n",
        with: "/// Configuration of a server.\n#[derive(Clone)]\n",
    },
    Edit {
        name: "the server's version string can be copied",
        file: "sshbuffer.rs",
        anchor: "pub enum SshId {\n",
        with: "#[derive(Clone)]\npub enum SshId {\n",
    },
    // Whether a certificate may log in is known before its key has signed anything.
    Edit {
        name: "room for the certificate that is offered",
        file: "server/mod.rs",
        anchor: "pub struct PublicKeyOffer<'a> {\n",
        with: "pub struct PublicKeyOffer<'a> {\n\
               \x20   /// The certificate in which the key is offered.\n\
               \x20   pub certificate: Option<&'a Certificate>,\n",
    },
    Edit {
        name: "the certificate that is offered with a signature",
        file: "server/encrypted.rs",
        anchor: "                        let offer = PublicKeyOffer {\n                            public_key: &pubkey,\n",
        with: "                        let offer = PublicKeyOffer {\n\
               \x20                           certificate: match &pk_or_cert {\n\
               \x20                               PublicKeyOrCertificate::Certificate(certificate) => Some(certificate),\n\
               \x20                               PublicKeyOrCertificate::PublicKey { .. } => None,\n\
               \x20                           },\n\
               \x20                           public_key: &pubkey,\n",
    },
    Edit {
        name: "the certificate that is offered without a signature",
        file: "server/encrypted.rs",
        anchor: "                    let offer = PublicKeyOffer {\n                        public_key: &pubkey,\n",
        with: "                    let offer = PublicKeyOffer {\n\
               \x20                       certificate: match &pk_or_cert {\n\
               \x20                           PublicKeyOrCertificate::Certificate(certificate) => Some(certificate),\n\
               \x20                           PublicKeyOrCertificate::PublicKey { .. } => None,\n\
               \x20                       },\n\
               \x20                       public_key: &pubkey,\n",
    },
    // Tunnel channels have no russh `Channel` behind them.
    Edit {
        name: "a confirmed channel without a Channel is no error",
        file: "client/encrypted.rs",
        anchor: "                    error!(\"no channel for id {local_id:?}\");",
        with: "                    debug!(\"no channel for id {local_id:?}\");",
    },
    // OpenSSH says why it refuses a tunnel in an SSH_MSG_DEBUG that precedes the failure.
    Edit {
        name: "the client hears debug messages",
        file: "client/mod.rs",
        anchor: "        if [msg::IGNORE, msg::UNIMPLEMENTED, msg::DEBUG].contains(message_type) {",
        with: "        crate::tunnel::hear_debug(handler, &pkt.buffer);\n\
               \x20       if [msg::IGNORE, msg::UNIMPLEMENTED, msg::DEBUG].contains(message_type) {",
    },
    // One read takes what the socket has, and packets are decrypted where they were read.
    Edit {
        name: "packets are read ahead",
        file: "cipher/mod.rs",
        anchor: "pub(crate) async fn read<R: AsyncRead + Unpin>(",
        with: "pub(crate) use crate::read_ahead::read;\n\n#[allow(dead_code)]\nasync fn read_one<R: AsyncRead + Unpin>(",
    },
    Edit {
        name: "the limit on packets is known to the reader",
        file: "cipher/mod.rs",
        anchor: "\nconst MAXIMUM_PACKET_LEN: usize",
        with: "\npub(crate) const MAXIMUM_PACKET_LEN: usize",
    },
    Edit {
        name: "a buffer for what was read ahead",
        file: "sshbuffer.rs",
        anchor: "    pub seqn: Wrapping<u32>,\n}\n\nimpl SSHBuffer {",
        with: "    pub seqn: Wrapping<u32>,\n\
               \x20   /// Packets since the last change of keys.\n\
               \x20   pub(crate) packets: u32,\n\
               \x20   pub(crate) ahead: crate::read_ahead::ReadAhead,\n\
               \x20   pub(crate) payload: std::ops::Range<usize>,\n\
               }\n\nimpl SSHBuffer {",
    },
    Edit {
        name: "nothing was read ahead at first",
        file: "sshbuffer.rs",
        anchor: "            bytes: 0,\n            seqn: Wrapping(0),\n        }\n",
        with: "            bytes: 0,\n\
               \x20           seqn: Wrapping(0),\n\
               \x20           packets: 0,\n\
               \x20           ahead: Default::default(),\n\
               \x20           payload: 0..0,\n\
               \x20       }\n",
    },
    // Data of tunnel channels goes from the decrypted packet to the tunnels: no copy, no queue between, and all
    // packets that one read brought in one go.
    Edit {
        name: "the client delivers tunnel data in place",
        file: "client/mod.rs",
        anchor: "                    let mut pkt = self.maybe_decompress(&buffer)?;\n",
        with: "                    let rekey_allowed = self.automatic_rekey_allowed();\n\
               \x20                   let peer_rekeys = matches!(&self.kex, SessionKexState::InProgress(kex) if kex.peer_kexinit_received());\n\
               \x20                   let cipher = std::mem::replace(&mut self.common.remote_to_local, Box::new(clear::Key));\n\
               \x20                   let (delivered, cipher) = crate::tunnel::deliver(&mut self.common, handler, &mut buffer, cipher, peer_rekeys, rekey_allowed);\n\
               \x20                   self.common.remote_to_local = cipher;\n\
               \x20                   let mut pkt = if delivered? {\n\
               \x20                       IncomingSshPacket { buffer: Vec::new(), seqn: buffer.seqn }\n\
               \x20                   } else {\n\
               \x20                       self.maybe_decompress(&buffer)?\n\
               \x20                   };\n",
    },
    Edit {
        name: "the server delivers tunnel data in place",
        file: "server/session.rs",
        anchor: "                    let mut pkt = self.maybe_decompress(&buffer)?;\n",
        with: "                    let rekey_allowed = self.automatic_rekey_allowed();\n\
               \x20                   let peer_rekeys = matches!(&self.kex, SessionKexState::InProgress(kex) if kex.peer_kexinit_received());\n\
               \x20                   let delivered;\n\
               \x20                   (delivered, opening_cipher) = crate::tunnel::deliver(&mut self.common, &mut handler, &mut buffer, opening_cipher, peer_rekeys, rekey_allowed);\n\
               \x20                   let mut pkt = if delivered? {\n\
               \x20                       IncomingSshPacket { buffer: Vec::new(), seqn: buffer.seqn }\n\
               \x20                   } else {\n\
               \x20                       self.maybe_decompress(&buffer)?\n\
               \x20                   };\n",
    },
    // The loop itself asks the tunnels for datagrams: no task, no queue and no wake-up between device and cipher.
    Edit {
        name: "the client loop sends tunnel data",
        file: "client/mod.rs",
        anchor: "            self.flush()?;\n            crate::flush_or_timeout(\n",
        with: "            self.flush()?;\n\
               \x20           if crate::tunnel::drive(&mut self.common, handler, self.kex.active())? {\n\
               \x20               self.flush()?;\n\
               \x20           }\n\
               \x20           crate::flush_or_timeout(\n",
    },
    Edit {
        name: "the server loop sends tunnel data",
        file: "server/session.rs",
        anchor: "            self.flush()?;\n\n            crate::flush_or_timeout(\n",
        with: "            self.flush()?;\n\
               \x20           if crate::tunnel::drive(&mut self.common, &mut handler, self.kex.active())? {\n\
               \x20               self.flush()?;\n\
               \x20           }\n\n\
               \x20           crate::flush_or_timeout(\n",
    },
    Edit {
        name: "the client loop waits for devices and for the socket",
        file: "client/mod.rs",
        anchor: "                () = &mut rekey_timer => {\n",
        with: "                () = std::future::poll_fn(|cx| crate::tunnel::poll_tunnels(handler, cx)), if crate::tunnel::may_send(&self.common, self.kex.active()) => {}\n\
               \x20               r = self.common.packet_writer.flush_into(stream_write), if self.common.packet_writer.has_unsent() => {\n\
               \x20                   map_err!(r)?;\n\
               \x20               }\n\
               \x20               () = &mut rekey_timer => {\n",
    },
    Edit {
        name: "the server loop waits for devices and for the socket",
        file: "server/session.rs",
        anchor: "                () = &mut rekey_timer => {\n",
        with: "                () = std::future::poll_fn(|cx| crate::tunnel::poll_tunnels(&mut handler, cx)), if crate::tunnel::may_send(&self.common, self.kex.active()) => {}\n\
               \x20               r = self.common.packet_writer.flush_into(&mut stream_write), if self.common.packet_writer.has_unsent() => {\n\
               \x20                   map_err!(r)?;\n\
               \x20               }\n\
               \x20               () = &mut rekey_timer => {\n",
    },
    // A session that waits for its socket must go on reading: two peers that both wait would never wake again.
    // What may pile up meanwhile is bounded by reading no further.
    Edit {
        name: "the client reads while it writes",
        file: "client/mod.rs",
        anchor: "                r = &mut reading => {\n",
        with: "                r = &mut reading, if self.common.packet_writer.unsent() <= crate::tunnel::MAX_UNSENT => {\n",
    },
    Edit {
        name: "the server reads while it writes",
        file: "server/session.rs",
        anchor: "                r = &mut reading => {\n                    let (stream_read, mut buffer",
        with: "                r = &mut reading, if self.common.packet_writer.unsent() <= crate::tunnel::MAX_UNSENT => {\n\
               \x20                   let (stream_read, mut buffer",
    },
    Edit {
        name: "one attempt to write instead of a wait",
        file: "lib_inner.rs",
        anchor: "    tokio::select! {\n        r = writer.flush_into(stream) => Ok(r?),\n        _ = inactivity_timer => {\n            debug!(\"timeout while writing\");\n            Err(Error::InactivityTimeout)\n        }\n    }\n",
        with: "    let _ = inactivity_timer;\n    tunnel::write_now(writer, stream).await\n",
    },
    Edit {
        name: "the writer has an output",
        file: "sshbuffer.rs",
        anchor: "    packet_buffer: Vec<u8>,\n    write_buffer: SSHBuffer,\n}\n",
        with: "    packet_buffer: Vec<u8>,\n    write_buffer: SSHBuffer,\n    pub(crate) output: crate::output::Output,\n}\n",
    },
    Edit {
        name: "a new writer has nothing to send",
        file: "sshbuffer.rs",
        anchor: "            packet_buffer: Vec::new(),\n            write_buffer: SSHBuffer::new(),\n",
        with: "            packet_buffer: Vec::new(),\n            write_buffer: SSHBuffer::new(),\n            output: Default::default(),\n",
    },
    Edit {
        name: "writing resumes where it was cancelled",
        file: "sshbuffer.rs",
        anchor: "        if !self.write_buffer.buffer.is_empty() {\n            w.write_all(&self.write_buffer.buffer).await?;\n            w.flush().await?;\n            self.write_buffer.buffer.clear();\n        }\n        Ok(())\n",
        with: "        std::future::poll_fn(|cx| self.poll_flush(w, cx)).await\n",
    },
    Edit {
        name: "the writer's parts are known to its output",
        file: "sshbuffer.rs",
        anchor: "    pub fn buffer(&mut self) -> &mut SSHBuffer {\n",
        with: "    /// Whether it is time for another key.\n\
               \x20   pub(crate) fn is_used_up(&self, limits: &crate::Limits) -> bool {\n\
               \x20       self.write_buffer.is_used_up(limits.rekey_write_limit, limits)\n\
               \x20   }\n\n\
               \x20   pub(crate) fn own_output(&self) -> &Vec<u8> {\n\
               \x20       &self.write_buffer.buffer\n\
               \x20   }\n\n\
               \x20   pub(crate) fn compresses(&self) -> bool {\n\
               \x20       !matches!(&self.compress, Compress::None)\n\
               \x20   }\n\n\
               \x20   pub(crate) fn finish_packet(&mut self, offset: usize, payload_len: usize) {\n\
               \x20       self.cipher.finish_packet(offset, payload_len, &mut self.write_buffer);\n\
               \x20   }\n\n\
               \x20   pub fn buffer(&mut self) -> &mut SSHBuffer {\n",
    },
    // The last words (a disconnect message) still go out, though the loop no longer waits for them.
    Edit {
        name: "the client flushes before it shuts down",
        file: "client/mod.rs",
        anchor: "        trace!(\"disconnected\");\n        self.receiver.close();\n",
        with: "        trace!(\"disconnected\");\n\
               \x20       crate::tunnel::flush_last_words(&mut self.common.packet_writer, &mut stream_write).await;\n\
               \x20       self.receiver.close();\n",
    },
    Edit {
        name: "the server flushes before it shuts down",
        file: "server/session.rs",
        anchor: "        // Shutdown\n        map_err!(stream_write.shutdown().await)?;\n",
        with: "        // Shutdown\n\
               \x20       crate::tunnel::flush_last_words(&mut self.common.packet_writer, &mut stream_write).await;\n\
               \x20       map_err!(stream_write.shutdown().await)?;\n",
    },
    // The extension says why each of the next ones is needed.
    Edit {
        name: "an error for a server that does not prove itself as agreed",
        file: "lib_inner.rs",
        anchor: "    /// The server provided a wrong signature.\n",
        with: "    /// The server proves itself otherwise than was agreed.\n\
               \x20   #[error(\"the server's {what} is {found}, and {agreed} was agreed on; update its SSH server\")]\n\
               \x20   NotAsAgreed { what: &'static str, agreed: String, found: String },\n\n\
               \x20   /// The peer has sent as many packets as one key may protect and answers no key exchange.\n\
               \x20   #[error(\"the peer goes on with a key that is used up\")]\n\
               \x20   KeyUsedUp,\n\n\
               \x20   /// The server provided a wrong signature.\n",
    },
    Edit {
        name: "the host key is of the kind agreed on",
        file: "client/kex.rs",
        anchor: "                debug!(\n                    \"received server host key: {:?} (certificate: {})\",\n",
        with: "                crate::agreed::host_key(&names, &server_host_key)?;\n\
               \x20               debug!(\n                    \"received server host key: {:?} (certificate: {})\",\n",
    },
    Edit {
        name: "the signature is of the kind agreed on",
        file: "client/kex.rs",
        anchor: "                if let Err(e) =\n                    signature::Verifier::verify(&server_host_key, hash.as_ref(), &signature)\n",
        with: "                crate::agreed::signature(&names, &signature)?;\n\
               \x20               if let Err(e) =\n                    signature::Verifier::verify(&server_host_key, hash.as_ref(), &signature)\n",
    },
    Edit {
        name: "a limit in packets",
        file: "lib_inner.rs",
        anchor: "    pub rekey_read_limit: usize,\n",
        with: "    pub rekey_read_limit: usize,\n\
               \x20   /// Packets in one direction; larger numbers than 2^31 are that.\n\
               \x20   pub rekey_packet_limit: u32,\n",
    },
    Edit {
        name: "the limit in packets of given limits",
        file: "lib_inner.rs",
        anchor: "            rekey_read_limit: read_limit,\n",
        with: "            rekey_read_limit: read_limit,\n            rekey_packet_limit: key_use::MAX_PACKETS,\n",
    },
    Edit {
        name: "the limit in packets by default",
        file: "lib_inner.rs",
        anchor: "            rekey_read_limit: 1 << 30,  // 1 Gb\n",
        with: "            rekey_read_limit: 1 << 30,  // 1 Gb\n            rekey_packet_limit: key_use::MAX_PACKETS,\n",
    },
    Edit {
        name: "packets that are written are counted",
        file: "cipher/mod.rs",
        anchor: "        buffer.bytes += payload_len;\n",
        with: "        buffer.bytes += payload_len;\n        buffer.count_packet();\n",
    },
    Edit {
        name: "packets that are copied and written are counted",
        file: "cipher/mod.rs",
        anchor: "        buffer.bytes += payload.len();\n",
        with: "        buffer.bytes += payload.len();\n        buffer.count_packet();\n",
    },
    Edit {
        name: "a new key to write with has no packets",
        file: "sshbuffer.rs",
        anchor: "        self.write_buffer.bytes = 0;\n",
        with: "        self.write_buffer.new_key();\n",
    },
    Edit {
        name: "the limit for what is written",
        file: "session.rs",
        anchor: "            || writer.buffer().bytes >= limits.rekey_write_limit\n",
        with: "            || writer.buffer().is_used_up(limits.rekey_write_limit, limits)\n",
    },
    Edit {
        name: "what is written never waits for the limit in time",
        file: "session.rs",
        anchor: "        if writer.bytes_written() >= limits.rekey_write_limit {\n",
        with: "        if writer.is_used_up(limits) {\n",
    },
    Edit {
        name: "a new key for the client to read with has no packets",
        file: "client/mod.rs",
        anchor: "                                buffer.bytes = 0;\n",
        with: "                                buffer.new_key();\n",
    },
    Edit {
        name: "the limit for what the client reads",
        file: "client/mod.rs",
        anchor: "                                && buffer.bytes >= self.common.config.limits.rekey_read_limit\n",
        with: "                                && buffer.is_used_up(self.common.config.limits.rekey_read_limit, &self.common.config.limits)\n",
    },
    Edit {
        name: "a new key for the server to read with has no packets",
        file: "server/session.rs",
        anchor: "                                buffer.bytes = 0;\n",
        with: "                                buffer.new_key();\n",
    },
    Edit {
        name: "the limit for what the server reads",
        file: "server/session.rs",
        anchor: "                                && buffer.bytes >= self.common.config.limits.rekey_read_limit\n",
        with: "                                && buffer.is_used_up(self.common.config.limits.rekey_read_limit, &self.common.config.limits)\n",
    },
    // A stock client takes anything of the connection protocol (RFC 4254) for a breach while its user types a passphrase.
    // The time to log in is limited otherwise.
    Edit {
        name: "the server asks for signs of life after log-in alone",
        file: "server/session.rs",
        anchor: "                () = &mut keepalive_timer => {\n",
        with: "                () = &mut keepalive_timer, if crate::tunnel::is_logged_in(&self.common) => {\n",
    },
    Edit {
        name: "the identification is read as OpenSSH reads it",
        file: "ssh_read.rs",
        anchor: "    async fn read_ssh_id_inner(&mut self, allow_pre_banner_lines: bool) -> Result<&[u8], Error> {\n",
        with: "    async fn read_ssh_id_inner(&mut self, allow_pre_banner_lines: bool) -> Result<&[u8], Error> {\n\
               \x20       self.read_identification(allow_pre_banner_lines).await\n\
               \x20   }\n\n\
               \x20   #[allow(dead_code)]\n\
               \x20   async fn read_ssh_id_within_255_bytes(&mut self, allow_pre_banner_lines: bool) -> Result<&[u8], Error> {\n",
    },
    Edit {
        name: "a buffer for longer lines",
        file: "ssh_read.rs",
        anchor: "    pub buf: Box<[u8; SSH_ID_BUF_SIZE]>,\n",
        with: "    pub buf: Vec<u8>,\n",
    },
    Edit {
        name: "the buffer for longer lines is empty at first",
        file: "ssh_read.rs",
        anchor: "            buf: Box::new([0; SSH_ID_BUF_SIZE]),\n",
        with: "            buf: Vec::new(),\n",
    },
    Edit {
        name: "the buffer is known to its reader",
        file: "ssh_read.rs",
        anchor: "struct ReadSshIdBuffer {\n",
        with: "pub(crate) struct ReadSshIdBuffer {\n",
    },
    Edit {
        name: "the reader finds the buffer",
        file: "ssh_read.rs",
        anchor: "    id: Option<ReadSshIdBuffer>,\n",
        with: "    pub(crate) id: Option<ReadSshIdBuffer>,\n",
    },
];
