/// The short-term credentials of one side of an ICE session (RFC 8445 §5.3).
package struct ICECredentials: Hashable, Sendable {
    /// 4...256 ice-chars. Public.
    package let ufrag: String
    /// 22...256 ice-chars. Secret: whoever has it can make us believe in a path.
    package let pwd: String

    /// Validates what a peer sent (RFC 8839 §5.4).
    package init(ufrag: String, pwd: String) throws(ICEError) {
        guard 4...256 ~= ufrag.utf8.count, ufrag.utf8.allSatisfy(Self.isICEChar) else {
            throw .invalidUsernameFragment
        }
        guard 22...256 ~= pwd.utf8.count, pwd.utf8.allSatisfy(Self.isICEChar) else {
            throw .invalidPassword
        }
        self.ufrag = ufrag
        self.pwd = pwd
    }

    private init(validUfrag: String, pwd: String) {
        self.ufrag = validUfrag
        self.pwd = pwd
    }

    /// Fresh credentials: 48 random bits of ufrag and 144 of password (at least 24 and 128 are asked for).
    /// `generator` must be cryptographically strong outside of tests.
    package static func random(using generator: inout some RandomNumberGenerator) -> ICECredentials {
        ICECredentials(
            validUfrag: self.randomText(8, using: &generator), pwd: self.randomText(24, using: &generator))
    }

    /// Fresh credentials from the system's generator.
    package static func random() -> ICECredentials {
        var generator = SystemRandomNumberGenerator()
        return self.random(using: &generator)
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func randomText(_ length: Int, using generator: inout some RandomNumberGenerator) -> String {
        var text = ""
        for _ in 0..<length {
            let index = Int.random(in: self.alphabet.indices, using: &generator)
            text.unicodeScalars.append(Unicode.Scalar(self.alphabet[index]))
        }
        return text
    }

    static func isICEChar(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
            true
        default:
            false
        }
    }
}

/// The password stays out of logs.
extension ICECredentials: CustomStringConvertible, CustomDebugStringConvertible {
    package var description: String { "ICECredentials(ufrag: \(self.ufrag))" }
    package var debugDescription: String { self.description }
}
