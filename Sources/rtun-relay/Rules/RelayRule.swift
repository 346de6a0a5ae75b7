import Basics
import NIOCore

/// One forwarding rule: the datagrams or connections that arrive at a local address go to a fixed target, and answers come back.
///
/// ```
/// [proto://]<listen_addr>?to=<target_addr>
/// udp://0.0.0.0:15353?to=192.0.2.53:53
/// tcp://127.0.0.1:8022?to=192.0.2.22:22
/// [::1]:5353?to=[2001:db8::53]:53
/// ```
/// `proto` is `udp` when left out. Both addresses are `IP:PORT`, IPv6 in brackets, families may differ.
struct RelayRule: Hashable, Sendable {
    /// What is forwarded. The raw values stand in rules, in logs and in the ready line.
    enum Transport: String, Sendable {
        case udp
        case tcp
    }

    let transport: Transport
    /// Where to listen. Port 0 asks the system for a free one.
    let listenAddress: SocketAddress
    /// Where the agent sends or connects to. Never port 0.
    let target: SocketAddress

    /// Reads a rule as it stands on the command line.
    init(parsing text: String) throws(RelayRuleError) {
        var parser = RelayRuleParser(text)
        (self.transport, self.listenAddress, self.target) = try parser.parse()
    }

    /// Whether both cannot listen at once: on one port of an address, or of all of its family. UDP and TCP have ports of their
    /// own each.
    private func overlaps(_ other: RelayRule) -> Bool {
        guard self.transport == other.transport else { return false }
        let (one, another) = (self.listenAddress, other.listenAddress)
        return one == another
            || one.port == another.port && one.protocol == another.protocol && (one.isWildcard || another.isWildcard)
    }

    /// Reads several rules, of which no two may listen on the same address. Rules on port 0 never collide.
    static func parse(_ texts: [String]) throws(RelayRuleError) -> [RelayRule] {
        var rules: [RelayRule] = []
        for text in texts {
            let rule = try RelayRule(parsing: text)
            if rule.listenAddress.port != 0, rules.contains(where: { $0.overlaps(rule) }) {
                let listen =
                    (text.place(of: "://")?.upperBound ?? text.startIndex)..<(text.firstIndex(of: "?") ?? text.endIndex)
                throw RelayRuleError(
                    rule: text, fault: listen, kind: .duplicateListenAddress,
                    message: "another rule listens there already; give each rule an address or port of its own")
            }
            rules.append(rule)
        }
        return rules
    }
}

extension RelayRule: CustomStringConvertible {
    /// The rule in its full form.
    var description: String { "\(self.transport.rawValue)://\(self.listenAddress.numeric)?to=\(self.target.numeric)" }
}

extension SocketAddress {
    /// `192.0.2.1:53`, `[2001:db8::1]:53`, or `[fe80::1%2]:53` with the number of an interface.
    var numeric: String {
        var address = self.ipAddress ?? "?"
        if case .v6(let ipv6) = self, ipv6.address.sin6_scope_id != 0 { address += "%\(ipv6.address.sin6_scope_id)" }
        return hostWithPort(address, self.port ?? 0)
    }
}
