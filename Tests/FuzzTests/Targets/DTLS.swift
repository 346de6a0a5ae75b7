import NIOCore

@testable import TLS

/// A datagram from nobody to a connection that stands: nothing may change but a counter. The first byte is the
/// protocol's.
func fuzzDTLS(_ bytes: UnsafeRawBufferPointer) throws {
    let pair = try DTLSPair.established.get()
    let rejected = pair.server.statistics.rejectedDatagrams
    pair.server.receive(ByteBuffer(bytes: bytes), at: .now())
    try promise(pair.read(pair.server) == nil, "a payload that nobody has sent")
    if let answer = pair.server.nextTransmit() {
        throw BrokenPromise(description: "it is answered: \(answer.hexDump(format: .compact))")
    }
    let counted = pair.server.statistics.rejectedDatagrams - rejected
    try promise(counted == 1, "it is counted \(counted) times")
    try promise(pair.server.nextEvent() == nil && pair.server.isEstablished, "it makes an event")
    let payload = ByteBuffer(string: "still here")
    for (sender, receiver) in [(pair.client, pair.server), (pair.server, pair.client)] {
        receiver.receive(try sender.seal(payload), at: .now())
        try promise(pair.read(receiver) == payload, "after it the connection is of no use")
    }
}

/// Datagrams to a connection in its handshake. The first byte says which end it is.
func fuzzDTLSHandshake(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let identities = try DTLSPair.identities.get()
    let role: TLSRole = input.byte() & 1 == 0 ? .server : .client
    let connection = try DTLSPair.make(role, identities)
    connection.start(at: .now())
    var size = 0
    while connection.nextTransmit() != nil {}
    while let (_, payload) = input.datagram() {
        connection.receive(payload, at: .now())
        var buffer = ByteBuffer()
        while let count = connection.readPayload(into: &buffer) { size += count }
        while let event = connection.nextEvent() {
            if case .handshakeCompleted = event { throw BrokenPromise(description: "a handshake with nobody") }
        }
        while connection.nextTransmit() != nil {}
    }
    try promise(size == 0 && !connection.isEstablished, "payloads without a handshake")
}

/// Two connections in one place.
///
/// Used by one thread at a time: libFuzzer has one, and the test of the corpora is one.
private final class DTLSPair {
    let client: DTLSConnection
    let server: DTLSConnection

    nonisolated(unsafe) static let established = Result { try DTLSPair(identities: identities.get()) }
    static let identities = Result {
        (client: try Identity.selfSigned(commonName: "client"), server: try Identity.selfSigned(commonName: "server"))
    }

    static func make(_ role: TLSRole, _ identities: (client: Identity, server: Identity)) throws -> DTLSConnection {
        let (own, peer) =
            role == .client ? (identities.client, identities.server) : (identities.server, identities.client)
        return try DTLSConnection(
            DTLSConfiguration(role: role, identity: own, peerFingerprint: peer.leafFingerprint))
    }

    private init(identities: (client: Identity, server: Identity)) throws {
        self.client = try Self.make(.client, identities)
        self.server = try Self.make(.server, identities)
        self.server.start(at: .now())
        self.client.start(at: .now())
        for _ in 0..<10 {
            while let datagram = self.client.nextTransmit() { self.deliver(datagram, to: self.server) }
            while let datagram = self.server.nextTransmit() { self.deliver(datagram, to: self.client) }
        }
        try promise(self.client.isEstablished && self.server.isEstablished, "the handshake fails")
    }

    private func deliver(_ datagram: ByteBuffer, to connection: DTLSConnection) {
        connection.receive(datagram, at: .now())
        _ = self.read(connection)
        while connection.nextEvent() != nil {}
    }

    /// What the last datagram carried.
    func read(_ connection: DTLSConnection) -> ByteBuffer? {
        var buffer = ByteBuffer()
        while connection.readPayload(into: &buffer) != nil {}
        return buffer.readableBytes > 0 ? buffer : nil
    }
}
