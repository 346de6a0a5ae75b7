import Basics

/// One `--allow` or `--deny`: `CIDR[:ports]`.
struct EgressRule: Hashable, Sendable {
    enum Action: Hashable, Sendable {
        case allow
        case deny
    }

    let action: Action
    /// The addresses that the rule is about; any of these blocks.
    let blocks: [AddressBlock]
    /// The ports that it is about; empty: all.
    let ports: [ClosedRange<UInt16>]

    init(_ action: Action, _ blocks: [AddressBlock], ports: [ClosedRange<UInt16>] = []) {
        self.action = action
        self.blocks = blocks
        self.ports = ports
    }

    /// Reads `10.0.0.0/8`, `10.0.0.0/8:80,443,8000-8999`, `2001:db8::/32:443`, a single address
    /// (`192.0.2.1:22`, `[2001:db8::1]:22`), or `*` for all addresses of both families (`*:25`).
    init(_ action: Action, parsing text: String) throws(EgressRuleError) {
        let target: Substring
        let rest: Substring
        if text.hasPrefix("["), let close = text.firstIndex(of: "]") {
            target = text[text.index(after: text.startIndex)..<close]
            rest = text[text.index(after: close)...]
        } else {
            // The colons of an IPv6 address stand in front of the slash; without a slash, and with several, there is no port.
            let slash = text.firstIndex(of: "/")
            let isBareIPv6 = slash == nil && text.split(separator: ":", omittingEmptySubsequences: false).count > 2
            let colon = isBareIPv6 ? nil : text[(slash ?? text.startIndex)...].firstIndex(of: ":")
            target = text[..<(colon ?? text.endIndex)]
            rest = text[(colon ?? text.endIndex)...]
        }
        guard rest.isEmpty || rest.hasPrefix(":") else { throw .invalid(text) }
        self.init(
            action, try Self.blocks(target, in: text),
            ports: rest.isEmpty ? [] : try Self.ports(rest.dropFirst(), in: text))
    }

    /// No target at all.
    static let denyAll = EgressRule(.deny, [.all(.v4), .all(.v6)])

    /// Whether the rule says something about `port`.
    func concerns(port: UInt16) -> Bool {
        self.ports.isEmpty || self.ports.contains { $0.contains(port) }
    }

    private static func blocks(_ target: Substring, in text: String) throws(EgressRuleError) -> [AddressBlock] {
        if target == "*" { return [.all(.v4), .all(.v6)] }
        do {
            return [try AddressBlock(parsing: target)]
        } catch {
            switch error {
            case .invalidAddress: throw .invalidAddress(text)
            case .invalidPrefixLength(let maximum): throw .invalidPrefixLength(text, maximum: maximum)
            case .hostBitsSet: throw .hostBitsSet(text)
            }
        }
    }

    private static func ports(_ list: Substring, in text: String) throws(EgressRuleError) -> [ClosedRange<UInt16>] {
        var ranges: [ClosedRange<UInt16>] = []
        for item in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = item.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
                .map { Self.number($0, upTo: 65535) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, 1 <= first, first <= last else {
                throw .invalidPorts(text)
            }
            ranges.append(UInt16(first)...UInt16(last))
        }
        return ranges
    }

    private static func number(_ digits: Substring, upTo maximum: Int) -> Int? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
            number <= maximum
        else { return nil }
        return number
    }
}

/// Why a text is no ``EgressRule``.
enum EgressRuleError: Error, Equatable, CustomStringConvertible {
    case invalid(String)
    case invalidAddress(String)
    case invalidPrefixLength(String, maximum: Int)
    case hostBitsSet(String)
    case invalidPorts(String)

    var description: String {
        switch self {
        case .invalid(let text):
            "\"\(text)\" is not CIDR[:ports], for example 10.0.0.0/8 or 10.0.0.0/8:80,8000-8999"
        case .invalidAddress(let text):
            "\"\(text)\" does not start with an IP address or *; names are not possible here"
        case .invalidPrefixLength(let text, let maximum):
            "the prefix length in \"\(text)\" is not a number from 0 to \(maximum)"
        case .hostBitsSet(let text):
            "the address in \"\(text)\" has bits set behind its prefix; write the block's first address"
        case .invalidPorts(let text):
            "the ports in \"\(text)\" are not numbers or ranges from 1 to 65535, separated by commas"
        }
    }
}
