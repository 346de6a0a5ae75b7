import Basics
import NIOCore

/// Takes a rule apart, left to right.
struct RelayRuleParser {
    private enum Side {
        case listen
        case target

        var name: String {
            switch self {
            case .listen: "listen address"
            case .target: "target"
            }
        }

        var example: String {
            switch self {
            case .listen: "127.0.0.1:15353"
            case .target: "192.0.2.53:53"
            }
        }
    }

    private let text: String
    /// What stands before `://`.
    private var transport = RelayRule.Transport.udp

    init(_ text: String) { self.text = text }

    mutating func parse() throws(RelayRuleError) -> (RelayRule.Transport, listen: SocketAddress, target: SocketAddress)
    {
        let whole = self.text.startIndex..<self.text.endIndex
        guard !self.text.isEmpty else {
            throw self.error(
                whole, .empty, "the rule is empty; write LISTEN?to=TARGET, as in 127.0.0.1:15353?to=192.0.2.53:53")
        }
        let start = try self.parseProtocol()
        guard let mark = self.text[start...].firstIndex(of: "?") else {
            throw self.error(
                start..<self.text.endIndex, .missingTarget,
                "the rule has no target; add ?to=IP:PORT, as in \(self.text)?to=192.0.2.53:53")
        }
        let target = try self.parseParameters(from: self.text.index(after: mark))
        return (self.transport, try self.parseAddress(start..<mark, .listen), try self.parseAddress(target, .target))
    }

    /// Where what follows the protocol begins.
    private mutating func parseProtocol() throws(RelayRuleError) -> String.Index {
        guard let separator = self.text.place(of: "://") else { return self.text.startIndex }
        let name = self.text[..<separator.lowerBound]
        guard let transport = RelayRule.Transport(rawValue: String(name)) else {
            throw self.error(
                self.text.startIndex..<separator.lowerBound, .unknownProtocol,
                "\"\(name)\" is not a protocol that can be forwarded; write udp or tcp")
        }
        self.transport = transport
        return separator.upperBound
    }

    /// The range of the value of `to`, the only parameter there is.
    private func parseParameters(from start: String.Index) throws(RelayRuleError) -> Range<String.Index> {
        var target: Range<String.Index>?
        var index = start
        while true {
            let end = self.text[index...].firstIndex { $0 == "&" || $0 == "?" } ?? self.text.endIndex
            let parameter = self.text[index..<end]
            if parameter.hasPrefix("to="), target == nil {
                target = self.text.index(index, offsetBy: 3)..<end
            } else if parameter.hasPrefix("to=") {
                throw self.error(index..<end, .strayParameter, "a rule has one target; use another -L for a second one")
            } else if !parameter.isEmpty || end != self.text.endIndex || target != nil {
                throw self.error(
                    index..<end, .strayParameter, "\"\(parameter)\" is not a parameter of a rule; only to=IP:PORT is")
            }
            guard end != self.text.endIndex else { break }
            index = self.text.index(after: end)
        }
        guard let target, !target.isEmpty else {
            throw self.error(
                start..<self.text.endIndex, .missingTarget,
                "the rule has no target; write ?to=IP:PORT, as in ?to=192.0.2.53:53")
        }
        return target
    }

    private func parseAddress(_ range: Range<String.Index>, _ side: Side) throws(RelayRuleError) -> SocketAddress {
        let part = self.text[range]
        let host: Range<String.Index>
        let afterHost: String.Index
        if part.first == "[" {
            guard let bracket = part.firstIndex(of: "]") else {
                throw self.error(
                    range, .missingBracket,
                    "the \(side.name) lacks the closing bracket; write [IPv6]:PORT, as in [2001:db8::53]:53")
            }
            host = self.text.index(after: range.lowerBound)..<bracket
            afterHost = self.text.index(after: bracket)
        } else {
            let colon = part.firstIndex(of: ":") ?? range.upperBound
            if colon != range.upperBound, part[self.text.index(after: colon)...].contains(":") {
                throw self.error(
                    range, .missingBracket,
                    "write the IPv6 address of the \(side.name) in brackets, as in [2001:db8::53]:53")
            }
            host = range.lowerBound..<colon
            afterHost = colon
        }
        let address = String(self.text[host])
        // The address first: a name without a port is above all a name.
        guard let parsed = self.isBracketed(range) ? Self.ipv6(address) : Self.ipv4(address) else {
            throw self.addressError(host, address, bracketed: self.isBracketed(range), side)
        }
        if side == .target, let zone = self.text[host].firstIndex(of: "%") {
            throw self.error(
                zone..<host.upperBound, .invalidAddress,
                "a zone is an interface of this machine, and the target is the agent's to reach; leave it out")
        }
        guard afterHost != range.upperBound, self.text[afterHost] == ":" else {
            throw self.error(range, .missingPort, "the \(side.name) has no port; write IP:PORT, as in \(side.example)")
        }
        let portRange = self.text.index(after: afterHost)..<range.upperBound
        let digits = self.text[portRange]
        guard !digits.isEmpty else {
            throw self.error(range, .missingPort, "the \(side.name) has no port; write IP:PORT, as in \(side.example)")
        }
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else {
            throw self.error(portRange, .invalidPort, "\"\(digits)\" is not a port; write a number from 1 to 65535")
        }
        if port == 0, side == .target {
            throw self.error(
                portRange, .zeroTargetPort, "nothing can be sent to port 0; write the target's port, 1 to 65535")
        }
        var result = parsed
        result.port = Int(port)
        return result
    }

    private func addressError(
        _ host: Range<String.Index>, _ address: String, bracketed: Bool, _ side: Side
    ) -> RelayRuleError {
        if bracketed {
            return self.error(
                host, .invalidAddress, "\"\(address)\" is not an IPv6 address; write one like [2001:db8::53]")
        }
        let isPort = !address.isEmpty && address.utf8.allSatisfy { (0x30...0x39).contains($0) }
        if address.isEmpty || address == "*" || isPort {
            let all = side == .listen ? "; 0.0.0.0 and [::] stand for all addresses of this machine" : ""
            return self.error(
                host, .invalidAddress, "the \(side.name) has no IP address; write IP:PORT, as in \(side.example)\(all)")
        }
        if address.contains(where: \.isLetter) {
            let proxy = self.transport == .tcp && side == .target ? "; rtun-socks connects to names" : ""
            return self.error(
                host, .nameNotSupported,
                "\"\(address)\" is a name; the \(side.name) takes an IP address only, as in \(side.example)\(proxy)")
        }
        return self.error(
            host, .invalidAddress, "\"\(address)\" is not an IPv4 address; write one like \(side.example)")
    }

    private func isBracketed(_ range: Range<String.Index>) -> Bool { self.text[range].first == "[" }

    private static func ipv4(_ text: String) -> SocketAddress? {
        guard let address = try? SocketAddress(ipAddress: text, port: 0), case .v4 = address else { return nil }
        return address
    }

    private static func ipv6(_ text: String) -> SocketAddress? {
        guard let address = try? SocketAddress(ipAddress: text, port: 0), case .v6 = address else { return nil }
        return address
    }

    private func error(_ fault: Range<String.Index>, _ kind: RelayRuleError.Kind, _ message: String) -> RelayRuleError {
        RelayRuleError(rule: self.text, fault: fault, kind: kind, message: message)
    }
}
