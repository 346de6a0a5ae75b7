import AppProto
import Basics
import TLS

/// Takes a link apart, left to right.
struct ServerLinkParser {
    /// Twice what a server with the longest name and a secret of 1 KiB, each byte of it escaped, would write.
    private static let maximumLength = 8192
    /// How it is written in shells and in letters.
    private static let quotes = Set<Character>(["'", "\"", "`", "‘", "’", "“", "”", "<", ">"])

    private let text: Substring

    init(_ text: String) {
        var text = Substring(text)
        while let first = text.first, first.isWhitespace || Self.quotes.contains(first) { text.removeFirst() }
        while let last = text.last, last.isWhitespace || Self.quotes.contains(last) { text.removeLast() }
        self.text = text
    }

    func parse() throws(ServerLinkError) -> ServerLink {
        guard self.text.utf8.count <= Self.maximumLength else { throw .tooLong(limit: Self.maximumLength) }
        let scheme = LinkSecret.scheme
        guard self.text.utf8.count > scheme.count,
            self.text.utf8.prefix(scheme.count).elementsEqual(scheme, by: { $0 | 0x20 == $1 | 0x20 })
        else { throw .noLink }
        // Quotation marks would be the end of it for whoever looks for secrets to hide.
        guard self.text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && !"'\"".utf8.contains($0) }) else {
            throw .interrupted
        }
        let rest = Substring(self.text.utf8.dropFirst(scheme.count))
        let mark = rest.firstIndex(of: "#")
        let front = rest[..<(mark ?? rest.endIndex)]
        let place = front.prefix { $0 != "/" && $0 != "?" }
        let url = try Self.url(place)
        let path = front[place.endIndex...].prefix { $0 != "?" }
        guard path.isEmpty || path == "/" else { throw .place("a link has no path; write rtun://host:port/?…") }
        let parts = try Self.parts(front[path.endIndex...].dropFirst())
        let secret =
            try mark.map { mark throws(ServerLinkError) in try Self.secret(rest[rest.index(after: mark)...]) } ?? []
        guard !secret.isEmpty else { throw .noSecret }
        if let length = try Self.length(parts["length"]), length != secret.count {
            throw .cut(byteCount: secret.count, of: length)
        }
        return ServerLink(
            host: url.host, port: url.port, transports: try Self.transports(parts["transports"]),
            pin: try Self.pin(parts["pin"]), name: try Self.name(parts["name"]), role: try Self.role(parts["role"]),
            secret: secret)
    }

    /// Host and port are those of a `quic://` URL.
    private static func url(_ place: Substring) throws(ServerLinkError) -> ServerURL {
        do throws(ServerURLError) {
            return try ServerURL(parsing: "quic://\(place)")
        } catch {
            throw .place("\(error.part.rawValue): \(error.problem)")
        }
    }

    private static func parts(_ query: Substring) throws(ServerLinkError) -> [String: String] {
        var parts: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let name = pair.prefix { $0 != "=" }
            guard let value = Self.unescaped(pair[name.endIndex...].dropFirst()).flatMap({ String(validating: $0) })
            else {
                throw .part(Self.shown(name), "each % needs two hex digits; copy all of the link")
            }
            guard parts.updateValue(value, forKey: String(name)) == nil else {
                throw .part(Self.shown(name), "given twice; are these two links?")
            }
        }
        return parts
    }

    /// A name that a person can read in an error.
    private static func shown(_ name: Substring) -> String { String(name.prefix(32)) }

    private static func secret(_ text: Substring) throws(ServerLinkError) -> [UInt8] {
        guard let secret = Self.unescaped(text) else { throw .secretEncoding }
        return secret
    }

    private static func length(_ text: String?) throws(ServerLinkError) -> Int? {
        guard let text else { return nil }
        guard let length = UInt16(text), length > 0 else {
            throw .part("length", "not a number of bytes; copy all of the link")
        }
        return Int(length)
    }

    private static func transports(_ text: String?) throws(ServerLinkError) -> [ServerURL.Scheme] {
        guard let text else { return [.quic, .https] }
        var transports: [ServerURL.Scheme] = []
        // Those of versions to come are passed over.
        for word in text.split(separator: ",") {
            guard let scheme = ServerURL.Scheme(rawValue: String(word)), scheme != .http, !transports.contains(scheme)
            else { continue }
            transports.append(scheme)
        }
        guard !transports.isEmpty else {
            throw .part("transports", "none that this version has; it has quic and https")
        }
        return transports
    }

    private static func pin(_ text: String?) throws(ServerLinkError) -> PublicKeyPin? {
        guard let text else { return nil }
        guard let pin = Base64URL.bytes(text).flatMap({ PublicKeyPin(bytes: $0) }) else {
            throw .part("pin", "not the 43 letters of a key's hash; copy all of the link")
        }
        return pin
    }

    private static func name(_ text: String?) throws(ServerLinkError) -> String? {
        guard let text else { return nil }
        guard
            let url = try? ServerURL(
                parsing: text.utf8.contains(UInt8(ascii: ":")) ? "quic://[\(text)]" : "quic://\(text)"),
            url.host == text
        else { throw .part("name", "not the name of a host") }
        return text
    }

    private static func role(_ text: String?) throws(ServerLinkError) -> Role? {
        switch text {
        case nil: return nil
        case "agent": return .agent
        case "client": return .client
        default: throw .part("role", "neither agent nor client; copy all of the link")
        }
    }

    /// Without percent-encoding (RFC 3986 §2.1); nil for a `%` without two hex digits.
    private static func unescaped(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexDigit, let low = rest.popFirst()?.hexDigit else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}

extension String {
    /// Nil unless the bytes are UTF-8.
    fileprivate init?(validating bytes: [UInt8]) {
        self.init(validating: bytes, as: UTF8.self)
    }
}

extension UInt8 {
    fileprivate var hexDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
