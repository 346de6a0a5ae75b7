package import Basics
import NIOCore
package import PeerChannel
import Signaling

/// What the probe of the NAT found, in words.
package struct NATReport: Sendable {
    /// nil: the probe could not be made, for the reason in `failure`.
    let probe: MappingProbe.Report?
    let failure: String
    /// Whether the server relays for peers without a direct path.
    let hasBridge: Bool
    /// The server cannot be reached in any way, so that its silence says nothing of UDP.
    let serverIsAway: Bool

    package init(_ probe: Result<MappingProbe.Report, any Error>, hasBridge: Bool, serverIsAway: Bool = false) {
        switch probe {
        case .success(let report):
            self.probe = report
            self.failure = ""
        case .failure(let error):
            self.probe = nil
            self.failure = "\(error)"
        }
        self.hasBridge = hasBridge
        self.serverIsAway = serverIsAway
    }

    /// A machine that cannot open a socket cannot be reached by UDP either.
    package var mapping: MappingBehavior { self.probe?.mapping ?? .udpBlocked }

    package var items: [CheckItem] {
        guard let probe = self.probe else {
            return [CheckItem(self.gravity, "UDP", self.failure, advice: "see ip address; check --p2p-interface")]
        }
        let answered = probe.answers.contains { if case .mapped = $0.outcome { true } else { false } }
        return probe.answers.map { Self.item($0, othersAnswer: answered) }
            + probe.unresolved.map {
                CheckItem(
                    .warning, "STUN", "the name \($0.host) cannot be resolved",
                    advice: "check --stun, and this machine's name server")
            }
            + [self.mappingItem, self.udp(answered: answered, asked: !probe.answers.isEmpty), Self.addresses(probe)]
    }

    private var gravity: CheckItem.Outcome { self.hasBridge ? .warning : .failed }

    private static func item(_ answer: MappingProbe.Report.Answer, othersAnswer: Bool) -> CheckItem {
        let server = answer.server.authority
        switch answer.outcome {
        case .mapped(let address):
            return CheckItem(.ok, "STUN", "\(server) sees this machine as \(address.authority)")
        case .noAnswer:
            return CheckItem(
                .warning, "STUN", "no answer from \(server)",
                advice: othersAnswer
                    ? "let that UDP port through: the firewall of the server, the published ports of its container"
                    : nil)
        case .notSent:
            return CheckItem(.warning, "STUN", "this machine cannot send to \(server)")
        case .failed(let reason):
            return CheckItem(.warning, "STUN", "\(server): \(reason)")
        }
    }

    private var mappingItem: CheckItem {
        switch self.mapping {
        case .none, .endpointIndependent, .portIndependent:
            CheckItem(.ok, "mapping", self.mapping.explanation)
        case .addressDependent, .addressAndPortDependent:
            CheckItem(
                .warning, "mapping", self.mapping.explanation,
                advice: "use IPv6, forward a port, or make the router's NAT endpoint-independent (\"full cone\")")
        case .unknown:
            CheckItem(
                .warning, "mapping", self.mapping.explanation,
                advice: "let rtun-server answer on a second port (--stun-port), or name another server with --stun")
        case .udpBlocked:
            CheckItem(.warning, "mapping", self.mapping.explanation)
        }
    }

    private func udp(answered: Bool, asked: Bool) -> CheckItem {
        if answered { return CheckItem(.ok, "UDP", "gets out, and answers come back") }
        guard asked else {
            return CheckItem(self.gravity, "UDP", "not tested: there is no STUN server to ask")
        }
        if self.serverIsAway {
            return CheckItem(
                .warning, "UDP", "not known: the server does not answer at all",
                advice: "name another STUN server with --stun to see whether UDP gets out")
        }
        return CheckItem(
            self.gravity, "UDP", "apparently blocked: no STUN server answers",
            advice:
                "let UDP out of this network, and into the server's port (its firewall, its container); a reverse proxy "
                + "carries no STUN: name a server with --stun")
    }

    private static func addresses(_ probe: MappingProbe.Report) -> CheckItem {
        func list(_ family: NIOBSDSocket.ProtocolFamily) -> String {
            let addresses = probe.localAddresses.filter { $0.protocol == family }.compactMap(\.ipAddress)
            return addresses.isEmpty ? "none" : addresses.joined(separator: ", ")
        }
        return CheckItem(.ok, "addresses", "IPv4: \(list(.inet)); IPv6: \(list(.inet6))")
    }
}

extension MappingBehavior {
    /// What it means for a person who wants direct paths.
    var explanation: String {
        switch self {
        case .none: "no NAT: peers see this machine under its own address"
        case .endpointIndependent: "endpoint-independent: direct paths to almost everybody"
        case .portIndependent:
            "port-independent, as far as one address of the server can tell: direct paths to almost everybody"
        case .addressDependent:
            "address-dependent: direct paths only to peers that let in any sender"
        case .addressAndPortDependent:
            "address-and-port-dependent (symmetric): direct paths only to peers that let in any sender"
        case .unknown: "not known: only one STUN server has answered, and it takes two to compare"
        case .udpBlocked: "not known: no STUN server has answered"
        }
    }
}
