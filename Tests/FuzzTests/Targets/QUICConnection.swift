import CNgtcp2
import NIOCore
import NIOEmbedded

@testable import QUIC

/// Packets with whatever payload, protected with the right keys, as a peer that has gone mad or means ill can send
/// them. ngtcp2 must never abort.
///
/// The first byte says which end is attacked (0x01 the client). Flags of a packet: 0x03 in which packets it goes
/// (Initial, Handshake, else 1-RTT), 0x04 overtaken by the next, 0x08 from another path, 0x30 how much time passes
/// before, 0x40 the attacked end moves to another path before.
func fuzzQUICConnection(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let attacksClient = input.byte() & 1 != 0
    var script = QUICScript()
    while let packet = input.datagram(), script.packetCount < 12 { script.add(packet.payload, flags: packet.flags) }
    script.disturbsHandshake = script.attacks.count < script.packetCount
    let loop = EmbeddedEventLoop()
    loop.advanceTime(by: .seconds(1))
    let attacked = try AttackedSession(isClient: attacksClient, loop: loop)
    let attacker = try RawQUICPeer(isServer: attacksClient, script: script, loop: loop)
    // The handshake, which the attacker takes part in honestly but for what the script says.
    for _ in 0..<8 {
        let sent = attacker.flush()
        if sent.isEmpty, attacked.outbox.isEmpty, attacker.isConnected { break }
        attacked.receive(sent)
        loop.run()
        attacker.receive(attacked.takeOutbox())
        loop.advanceTime(by: .milliseconds(5))
    }
    try promise(attacker.isConnected || script.disturbsHandshake, "no connection comes about")
    var late: ByteBuffer?
    while attacker.isConnected, let (flags, datagram) = attacker.nextAttack() {
        loop.advanceTime(by: [.zero, .milliseconds(30), .seconds(1), .seconds(10)][Int(flags >> 4 & 3)])
        if flags & 0x40 != 0 { attacked.session.pathChanged() }
        if flags & 0x04 != 0, late == nil {
            late = datagram
            continue
        }
        attacked.receive([datagram] + (late.map { [$0] } ?? []), on: flags & 0x08 == 0 ? 1 : 2)
        late = nil
        try attacked.checkBounds()
    }
    // The time that everything takes at most: timers fire on what is left.
    loop.advanceTime(by: .seconds(5))
    try attacked.checkBounds()
    attacked.session.close(code: 0, reason: "")
    loop.advanceTime(by: .seconds(60))
    try promise(attacked.session.isClosed && attacked.closes == 1, "the end is told \(attacked.closes) times")
}

/// What an attacker puts into its packets.
private struct QUICScript {
    private(set) var initial: [[UInt8]] = []
    private(set) var handshake: [[UInt8]] = []
    private(set) var attacks: [(flags: UInt8, payload: [UInt8])] = []

    /// Whether anything goes into other packets than those of the connection that stands.
    var disturbsHandshake = false

    var packetCount: Int { self.initial.count + self.handshake.count + self.attacks.count }

    mutating func add(_ payload: ByteBuffer, flags: UInt8) {
        let bytes = Array(payload.readableBytesView.prefix(1000))
        guard !bytes.isEmpty else { return }
        switch flags & 0x03 {
        case 0: self.initial.append(bytes)
        case 1: self.handshake.append(bytes)
        default: self.attacks.append((flags, bytes))
        }
    }

    /// What goes into the packet whose header is given, if anything does.
    mutating func next(for header: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        // RFC 9000 §17.2; the packets that attack say themselves what is in them.
        guard let first = header.first, first & 0x80 != 0 else { return nil }
        switch first & 0x30 {
        case 0x00: return self.initial.isEmpty ? nil : self.initial.removeFirst()
        case 0x20: return self.handshake.isEmpty ? nil : self.handshake.removeFirst()
        default: return nil
        }
    }

    mutating func nextAttack() -> (flags: UInt8, payload: [UInt8])? {
        self.attacks.isEmpty ? nil : self.attacks.removeFirst()
    }
}

/// The end that has to stand it: echoes streams and datagrams, and opens streams of its own.
private final class AttackedSession: QUICSessionDelegate, QUICStreamDelegate {
    let session: QUICSession
    private(set) var outbox: [ByteBuffer] = []
    private(set) var closes = 0
    private var openStreams = 0
    private let wire: Wire

    private final class Wire {
        weak var session: AttackedSession?
    }

    init(isClient: Bool, loop: EmbeddedEventLoop) throws {
        let wire = Wire()
        self.wire = wire
        let transmit: (QUICTransmit) -> Void = { wire.session?.send($0) }
        self.session =
            isClient
            ? try .client(context: QUICIdentities.clientContext.get(), eventLoop: loop, transmit: transmit)
            : try .server(context: QUICIdentities.serverContext.get(), eventLoop: loop, transmit: transmit)
        wire.session = self
        self.session.delegate = self
        loop.run()
    }

    private func send(_ transmit: QUICTransmit) {
        var rest = transmit.payload
        let step = transmit.segmentSize ?? rest.readableBytes
        while let datagram = rest.readSlice(length: min(step, rest.readableBytes)), datagram.readableBytes > 0 {
            self.outbox.append(datagram)
        }
    }

    func takeOutbox() -> [ByteBuffer] {
        defer { self.outbox.removeAll() }
        return self.outbox
    }

    func receive(_ datagrams: [ByteBuffer], on arrival: UInt32 = 1) {
        guard !datagrams.isEmpty else { return }
        for datagram in datagrams { self.session.receive(datagram, segmentSize: nil, on: arrival) }
        self.session.receiveComplete()
    }

    func checkBounds() throws(BrokenPromise) {
        try promise(self.openStreams <= 16, "\(self.openStreams) streams")
        guard let connection = self.session.connection else { return }
        try promise(connection.streams.count <= 16, "\(connection.streams.count) streams")
        let unconsumed = connection.streams.values.reduce(0) { $0 + $1.received.readableBytes }
        try promise(unconsumed <= 64 << 10, "\(unconsumed) bytes wait")
    }

    func sessionHandshakeCompleted(_ session: QUICSession) {
        guard let stream = try? session.openStream() else { return }
        self.openStreams += 1
        stream.delegate = self
        stream.write(ByteBuffer(repeating: 7, count: 3000))
        _ = session.sendDatagram(ByteBuffer(repeating: 8, count: 100))
    }

    func session(_ session: QUICSession, streamOpened stream: QUICStream) {
        self.openStreams += 1
        stream.delegate = self
    }

    func session(_ session: QUICSession, datagramReceived datagram: ByteBuffer) { _ = session.sendDatagram(datagram) }
    func sessionDatagramsWritable(_ session: QUICSession) {}
    func session(_ session: QUICSession, closed reason: QUICCloseReason) { self.closes += 1 }

    func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        stream.write(bytes)
        // Some bytes are never consumed, so that windows fill up.
        stream.consume(bytes.readableBytes / 2)
    }
    func streamFinished(_ stream: QUICStream) { stream.finish() }
    func stream(_ stream: QUICStream, resetWith code: UInt64) { stream.reset(code: code) }
    func stream(_ stream: QUICStream, stoppedWith code: UInt64) { stream.stopSending(code: code) }
    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) { self.openStreams -= 1 }
}

/// An end made of ngtcp2 alone, which takes part in the handshake, and whose packets say what a script says.
private final class RawQUICPeer {
    /// Of the peer that is writing: the callback that protects packets is told of nobody.
    nonisolated(unsafe) private static var script = QUICScript()
    /// What the packet that is being written is to contain.
    nonisolated(unsafe) private static var attack: [UInt8]?

    private let context: QUICContext
    private let tls: QUICTLS
    private let loop: EmbeddedEventLoop
    private var handle: OpaquePointer?
    private var isOver = false

    init(isServer: Bool, script: QUICScript, loop: EmbeddedEventLoop) throws {
        Self.script = script
        Self.attack = nil
        self.context = try (isServer ? QUICIdentities.serverContext : QUICIdentities.clientContext).get()
        self.tls = try QUICTLS(context: self.context)
        self.loop = loop
        guard !isServer else { return }
        var destination = ConnectionID.random().cid
        var source = ConnectionID.random().cid
        var setup = QUICConnectionSetup(context: self.context, at: loop.now)
        setup.callbacks = Self.callbacks()
        var handle: OpaquePointer?
        _ = CNgtcp2_conn_client_new(
            &handle, &destination, &source, OpaquePath.pointer, CNgtcp2_version_1(), &setup.callbacks,
            &setup.settings, &setup.parameters, nil)
        self.adopt(handle)
    }

    deinit {
        if let handle { ngtcp2_conn_del(handle) }
    }

    private func adopt(_ handle: OpaquePointer?) {
        guard let handle else { return }
        self.handle = handle
        self.tls.connection = handle
        ngtcp2_conn_set_tls_native_handle(handle, UnsafeMutableRawPointer(self.tls.handle))
    }

    private func accept(_ datagram: ByteBuffer) {
        guard let initial = datagram.withUnsafeReadableBytes({ InitialPacket($0) }) else { return }
        var destination = initial.sourceID.cid
        var source = ConnectionID.random().cid
        var setup = QUICConnectionSetup(context: self.context, at: self.loop.now)
        setup.callbacks = Self.callbacks()
        setup.accept(initial, as: source, statelessResetKey: self.context.statelessResetKey)
        var handle: OpaquePointer?
        _ = CNgtcp2_conn_server_new(
            &handle, &destination, &source, OpaquePath.pointer, initial.version, &setup.callbacks,
            &setup.settings, &setup.parameters, nil)
        self.adopt(handle)
    }

    private var now: UInt64 { self.loop.now.uptimeNanoseconds }

    var isConnected: Bool {
        guard let handle, !self.isOver else { return false }
        return ngtcp2_conn_get_handshake_completed(handle) != 0
    }

    func receive(_ datagrams: [ByteBuffer]) {
        for datagram in datagrams where !self.isOver {
            if self.handle == nil { self.accept(datagram) }
            guard let handle else { continue }
            let code = datagram.withUnsafeReadableBytes {
                CNgtcp2_conn_read_pkt(
                    handle, OpaquePath.pointer, $0.bindMemory(to: UInt8.self).baseAddress, $0.count, self.now)
            }
            if code != 0 { self.isOver = true }
        }
    }

    /// What there is to send in the handshake.
    func flush() -> [ByteBuffer] {
        guard let handle, !self.isOver else { return [] }
        var datagrams: [ByteBuffer] = []
        while datagrams.count < 16 {
            let datagram = self.write { target, size in
                CNgtcp2_conn_writev_stream(handle, target, size, nil, 0, -1, nil, 0, self.now)
            }
            guard let datagram else { break }
            datagrams.append(datagram)
        }
        return datagrams
    }

    /// The next packet of the script; nil when there is none, or congestion control is against it.
    func nextAttack() -> (flags: UInt8, datagram: ByteBuffer)? {
        guard let handle, !self.isOver, let (flags, payload) = Self.script.nextAttack() else { return nil }
        Self.attack = payload
        defer { Self.attack = nil }
        // As long as the attack, which takes its place.
        var filling = [UInt8](repeating: 0, count: payload.count)
        let datagram = self.write { target, size in
            filling.withUnsafeMutableBufferPointer { filling in
                var vector = ngtcp2_vec(base: filling.baseAddress, len: filling.count)
                var accepted: Int32 = 0
                return CNgtcp2_conn_writev_datagram(handle, target, size, &accepted, 0, 0, &vector, 1, self.now)
            }
        }
        return datagram.map { (flags, $0) }
    }

    private func write(_ body: (UnsafeMutablePointer<UInt8>?, Int) -> ngtcp2_ssize) -> ByteBuffer? {
        var datagram = ByteBuffer()
        let count = datagram.writeWithUnsafeMutableBytes(minimumWritableBytes: 1452) { target in
            let count = body(target.bindMemory(to: UInt8.self).baseAddress, 1452)
            if count < 0 { self.isOver = true }
            return max(0, count)
        }
        return count > 0 ? datagram : nil
    }

    private static func callbacks() -> ngtcp2_callbacks {
        var callbacks = ngtcp2_callbacks()
        callbacks.client_initial = ngtcp2_crypto_client_initial_cb
        callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb
        callbacks.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb
        callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb
        callbacks.decrypt = ngtcp2_crypto_decrypt_cb
        callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb
        callbacks.update_key = ngtcp2_crypto_update_key_cb
        callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb
        callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb
        callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb
        callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb
        callbacks.rand = { bytes, count, _ in _ = gnutls_rnd(GNUTLS_RND_NONCE, bytes, count) }
        callbacks.get_new_connection_id = { _, id, token, length, _ in
            id?.pointee.datalen = length
            _ = gnutls_rnd(GNUTLS_RND_NONCE, &id!.pointee.data, length)
            return gnutls_rnd(GNUTLS_RND_NONCE, token, 16)
        }
        callbacks.encrypt = { target, aead, key, plaintext, length, nonce, nonceLength, header, headerLength in
            let said = UnsafeBufferPointer(start: header, count: headerLength)
            let isShort = (said.first ?? 0) & 0x80 == 0
            // ngtcp2 encrypts in place, so that the plaintext may be written to.
            if let payload = isShort ? RawQUICPeer.attack : RawQUICPeer.script.next(for: said), let plaintext {
                let room = UnsafeMutableRawBufferPointer(
                    start: UnsafeMutableRawPointer(mutating: plaintext), count: length)
                room.copyBytes(from: payload.prefix(length))
                // PADDING behind it.
                for index in min(payload.count, length)..<length { room[index] = 0 }
            }
            return ngtcp2_crypto_encrypt_cb(
                target, aead, key, plaintext, length, nonce, nonceLength, header, headerLength)
        }
        return callbacks
    }
}
