import CAppProto

/// ICE user name fragment and password (RFC 8839 §5.4).
package struct IceParameters: Hashable, Sendable {
    /// 4 to 256 ice-chars.
    package var ufrag: String
    /// 22 to 256 ice-chars.
    package var pwd: String
    package var unknownFields = UnknownFields()

    package init(ufrag: String, pwd: String) {
        self.ufrag = ufrag
        self.pwd = pwd
    }
}

extension IceParameters: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__IceParameters>) {
        rtun__ice_parameters__init(pointer)
    }

    init(_ message: Rtun__IceParameters) throws(AppProtoError) {
        self.ufrag = try readICECharacters(message.ufrag, "ufrag", length: 4...256)
        self.pwd = try readICECharacters(message.pwd, "pwd", length: 22...256)
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__IceParameters, _ arena: Arena) {
        message.ufrag = arena.string(self.ufrag)
        message.pwd = arena.string(self.pwd)
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
