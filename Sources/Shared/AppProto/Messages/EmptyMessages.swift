import CAppProto

// Messages without fields. Outside this module they are plain cases of `Envelope.Body` and `OpenPeer.Kind`.

struct Ping: WireMessage {
    init() {}
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Ping>) { rtun__ping__init(pointer) }
    init(_ message: Rtun__Ping) {}
    func fill(_ message: inout Rtun__Ping, _ arena: Arena) {}
}

struct Pong: WireMessage {
    init() {}
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Pong>) { rtun__pong__init(pointer) }
    init(_ message: Rtun__Pong) {}
    func fill(_ message: inout Rtun__Pong, _ arena: Arena) {}
}

struct AskPeerKeys: WireMessage {
    init() {}
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__AskPeerKeys>) { rtun__ask_peer_keys__init(pointer) }
    init(_ message: Rtun__AskPeerKeys) {}
    func fill(_ message: inout Rtun__AskPeerKeys, _ arena: Arena) {}
}

struct QuicTunnel: WireMessage {
    init() {}
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__QuicTunnel>) { rtun__quic_tunnel__init(pointer) }
    init(_ message: Rtun__QuicTunnel) {}
    func fill(_ message: inout Rtun__QuicTunnel, _ arena: Arena) {}
}
