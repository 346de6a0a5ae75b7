import Basics
import CommandSupport
import NIOHTTP1
import OperatingSystem
import PlainHTTP

/// What `--admin-token-file` holds. Its description shows nothing of it.
struct AdminToken: Sendable, CustomStringConvertible, CustomReflectable {
    /// Fewer bytes could be guessed.
    static let minimumLength = 16
    /// A longer file is a mistake.
    private static let maximumLength = 4096

    private let bytes: [UInt8]

    var description: String { "(token)" }
    var customMirror: Mirror { Mirror(self, children: []) }

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The token in a file, without white space around it; nil for no file. Throws with exit code 69 when it cannot be read, 64
    /// when what it holds is too little.
    static func load(_ file: String?) throws(ProgramError) -> AdminToken? {
        guard let file else { return nil }
        var bytes: [UInt8]
        do {
            bytes = try SmallFile.contents(of: file, limit: Self.maximumLength)
        } catch {
            throw ProgramError(.unavailable, "cannot read the file \(file) given by --admin-token-file: \(error)")
        }
        let isSpace = { (byte: UInt8) in [0x20, 0x09, 0x0A, 0x0D].contains(byte) }
        bytes = Array(bytes.drop(while: isSpace))
        while let last = bytes.last, isSpace(last) { bytes.removeLast() }
        guard bytes.count >= Self.minimumLength else {
            throw ProgramError(
                .usage,
                """
                the token in \(file) has \(bytes.count) bytes and needs at least \(Self.minimumLength): make one with \
                "openssl rand -hex 32 > \(file)"
                """)
        }
        guard bytes.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw ProgramError(
                .usage, "the token in \(file) has characters that a header field cannot carry; use letters and digits")
        }
        return AdminToken(bytes: bytes)
    }

    /// Whether the request shows it: as a bearer token (RFC 6750 §2.1), or as anybody's password (RFC 7617 §2).
    func isShown(in headers: HTTPHeaders) -> Bool {
        guard headers["authorization"].count == 1 else { return false }
        if let token = headers.bearerToken { return constantTimeEquals(Array(token.utf8), self.bytes) }
        guard let credentials = headers.credentials(of: "basic"), let pair = Base64.bytes(of: credentials),
            let colon = pair.firstIndex(of: UInt8(ascii: ":"))
        else { return false }
        return constantTimeEquals(Array(pair[(colon + 1)...]), self.bytes)
    }

    /// What shows it.
    var authorization: String { "Bearer \(String(decoding: self.bytes, as: UTF8.self))" }
}
