import ArgumentParser
import Basics

/// What `--egress` says in one word, behind the operator's own rules.
enum EgressPreset: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// Everything.
    case all
    /// Public addresses: nothing of this machine or of a network around it.
    case internet
    /// Private networks, without this machine's loopback.
    case lan

    /// Ends with a rule for every address that the preset speaks of.
    var rules: [EgressRule] {
        switch self {
        case .all: []
        case .internet: [EgressRule(.deny, Self.notPublic)]
        case .lan: [EgressRule(.allow, Self.privateNetworks), EgressRule(.deny, [.all(.v4), .all(.v6)])]
        }
    }

    /// RFC 1918 §3 and RFC 4193 §3.
    private static let privateNetworks = Self.blocks([
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",
    ])

    /// What is not globally reachable by the registries of special-purpose addresses (RFC 6890), and groups. Addresses for
    /// documentation lead nowhere, and stand for public ones in laboratories.
    private static let notPublic =
        Self.privateNetworks
        + Self.blocks([
            "0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "198.18.0.0/15",
            "224.0.0.0/4", "240.0.0.0/4",
            "::/127", "64:ff9b:1::/48", "100::/64", "2001::/23", "5f00::/16", "fe80::/10", "fec0::/10", "ff00::/8",
        ])

    private static func blocks(_ texts: [String]) -> [AddressBlock] {
        texts.compactMap { try? AddressBlock(parsing: $0) }
    }
}
