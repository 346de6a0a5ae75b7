import CAppProto

/// Who is behind an offer, by the word of the server, which writes this for the agent.
package struct ClientStamp: Hashable, Sendable {
    /// Names the client's control connection; never used twice, also by a restarted server.
    package var session: UInt64
    /// Nil: the client is of an older version, and has proved none.
    package var key: ProvedKey?

    package init(session: UInt64, key: ProvedKey?) {
        self.session = session
        self.key = key
    }
}

extension ClientStamp: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__ClientStamp>) { rtun__client_stamp__init(pointer) }

    init(_ message: Rtun__ClientStamp) throws(AppProtoError) {
        self.session = message.session
        self.key = try ProvedKey(fingerprint: message.fingerprint, isKept: message.key_kept)
    }

    func fill(_ message: inout Rtun__ClientStamp, _ arena: Arena) {
        message.session = self.session
        message.fingerprint = arena.bytes(self.key?.fingerprint.bytes ?? [])
        message.key_kept = self.key?.isKept == true ? 1 : 0
    }
}
