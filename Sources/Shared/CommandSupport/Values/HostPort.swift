import Basics
import LibC

/// A host and a port as written on the command line: `127.0.0.1:2080`, `[::1]:2080`, `stun.example.org:3478`.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// An IP address without brackets, or a name. Not empty.
    package let host: String
    /// 0 asks the system for a free port where one listens.
    package let port: UInt16

    /// A host, without brackets, and a port.
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`; an IPv6 address needs brackets. Without `:port`, `defaultPort` is taken, or it is an error.
    package init(parsing text: String, defaultPort: UInt16? = nil) throws(HostPortError) {
        let host: Substring
        let rest: Substring
        if text.includes("://") { throw .url(text) }
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { throw .missingBracket(text) }
            host = text[text.index(after: text.startIndex)..<close]
            rest = text[text.index(after: close)...]
            guard host.contains(":") else { throw .bracketsWithoutIPv6(text) }
            guard rest.isEmpty || rest.hasPrefix(":") else { throw .invalidPort(text) }
        } else {
            let colon = text.firstIndex(of: ":") ?? text.endIndex
            host = text[..<colon]
            rest = text[colon...]
            if rest.dropFirst().contains(":") {
                let isIPv6 =
                    text.utf8.allSatisfy { "0123456789abcdefABCDEF:.%".utf8.contains($0) } && !host.contains(".")
                throw isIPv6 ? .unbracketedIPv6(text) : .invalidPort(text)
            }
        }
        guard !host.isEmpty else { throw .missingHost(text) }
        guard host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw .invalidHost(text) }
        if host.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }), Self.address(of: host) == nil {
            throw .invalidIPv4(text)
        }
        if let address = Self.address(meantBy: host) { throw .oldIPv4(text, address) }
        if rest.isEmpty {
            guard let defaultPort else { throw .missingPort(text) }
            self.init(host: String(host), port: defaultPort)
        } else {
            let digits = rest.dropFirst()
            guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(digits)
            else {
                throw .invalidPort(text)
            }
            self.init(host: String(host), port: port)
        }
    }

    /// The address that inet_aton(3) sees in `host`, such as 1.2.0.3 in `1.2.3`, unless it is written in the usual form.
    private static func address(meantBy host: Substring) -> String? {
        var address = in_addr()
        return inet_pton(AF_INET, String(host), &address) == 1 ? nil : Self.address(of: host)
    }

    /// The address that inet_aton(3) sees in `host`.
    private static func address(of host: Substring) -> String? {
        var address = in_addr()
        guard inet_aton(String(host), &address) != 0 else { return nil }
        return withUnsafeBytes(of: address.s_addr) { $0.map(String.init).joined(separator: ".") }
    }

    /// `host:port`, an IPv6 address in brackets.
    package var description: String {
        hostWithPort(self.host, self.port)
    }
}

/// Why a text is no ``HostPort``.
package enum HostPortError: Error, Equatable, CustomStringConvertible {
    case missingHost(String)
    case invalidHost(String)
    case missingPort(String)
    case invalidPort(String)
    case missingBracket(String)
    case bracketsWithoutIPv6(String)
    case unbracketedIPv6(String)
    case invalidIPv4(String)
    case url(String)
    /// With the address that the host would be taken for.
    case oldIPv4(String, String)

    /// What is wrong, and what would be right.
    package var description: String {
        switch self {
        case .missingHost(let text): "\"\(text)\" has no host; expected host:port, for example 127.0.0.1:8888"
        case .invalidHost(let text): "the host in \"\(text)\" contains a space or control character"
        case .missingPort(let text): "\"\(text)\" has no port; expected host:port, for example \(text):8888"
        case .invalidPort(let text): "the port in \"\(text)\" is not a number from 0 to 65535"
        case .missingBracket(let text): "\"\(text)\" lacks the closing bracket; expected [IPv6]:port"
        case .bracketsWithoutIPv6(let text): "only an IPv6 address goes in brackets, not that of \"\(text)\""
        case .invalidIPv4(let text):
            "the host in \"\(text)\" is not an IPv4 address, which has four numbers from 0 to 255"
        case .url(let text): "\"\(text)\" is a URL; expected host:port, for example 127.0.0.1:8888"
        case .oldIPv4(let text, let address):
            "\"\(text)\" has an incomplete IPv4 address; if you mean \(address), write that"
        case .unbracketedIPv6(let text): "write the IPv6 address in \"\(text)\" in brackets: [::1]:8888"
        }
    }
}
