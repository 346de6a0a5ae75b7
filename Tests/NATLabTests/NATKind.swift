/// What one side of the lab is behind: a NAT for IPv4, a firewall for IPv6, or both.
struct NATKind: Sendable, Hashable, CustomStringConvertible {
    /// The kinds of NAT that `scripts/nat_lab.py` knows.
    enum IPv4: String, CaseIterable, Sendable {
        case open
        case fullCone = "full-cone"
        case address
        case port
        case symmetric
        case carrier
        case serverOnly = "server-only"
        case noUDP = "no-udp"

        /// What the script's own probe says of it.
        fileprivate var probe: String {
            switch self {
            case .open, .fullCone: "mapping endpoint-independent, filtering endpoint-independent"
            case .address: "mapping endpoint-independent, filtering address-dependent"
            case .port, .carrier, .serverOnly: "mapping endpoint-independent, filtering address-and-port-dependent"
            case .symmetric: "mapping address-and-port-dependent, filtering address-and-port-dependent"
            case .noUDP: "no UDP"
            }
        }

        fileprivate var blocksPeers: Bool { self == .serverOnly || self == .noUDP }
        /// Lets in a peer whose port is not the one that was told.
        fileprivate var acceptsAnyPort: Bool { self == .open || self == .fullCone || self == .address }
    }

    enum IPv6: String, CaseIterable, Sendable {
        /// A firewall that lets in answers only.
        case firewall = "ipv6"
        case open = "ipv6-open"

        fileprivate var probe: String {
            switch self {
            case .open: "mapping endpoint-independent, filtering endpoint-independent"
            case .firewall: "mapping endpoint-independent, filtering address-and-port-dependent"
            }
        }
    }

    let ipv4: IPv4?
    let ipv6: IPv6?

    private init(_ ipv4: IPv4?, _ ipv6: IPv6?) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
    }

    static let open = Self(.open, nil)
    static let fullCone = Self(.fullCone, nil)
    static let address = Self(.address, nil)
    static let port = Self(.port, nil)
    static let symmetric = Self(.symmetric, nil)
    static let carrier = Self(.carrier, nil)
    static let serverOnly = Self(.serverOnly, nil)
    static let noUDP = Self(.noUDP, nil)
    static let ipv6 = Self(nil, .firewall)
    static let ipv6Open = Self(nil, .open)
    static func dual(_ ipv4: IPv4, _ ipv6: IPv6 = .firewall) -> Self { Self(ipv4, ipv6) }

    /// Those with one address family.
    static let all = IPv4.allCases.map { Self($0, nil) } + IPv6.allCases.map { Self(nil, $0) }

    /// Client and agent: every two of the IPv4 kinds, and what IPv6 adds to them.
    static let pairs: [(client: Self, agent: Self)] =
        IPv4.allCases.flatMap { client in IPv4.allCases.map { (Self(client, nil), Self($0, nil)) } } + [
            (.ipv6, .ipv6), (.ipv6, .ipv6Open), (.ipv6Open, .ipv6), (.ipv6, .open), (.open, .ipv6Open),
            (.ipv6, .dual(.port)), (.dual(.port), .ipv6), (.dual(.symmetric), .dual(.symmetric)),
            (.dual(.noUDP), .dual(.port)), (.dual(.symmetric), .port), (.port, .dual(.open, .open)),
        ]

    /// As the script takes it.
    var description: String { [self.ipv4?.rawValue, self.ipv6?.rawValue].compactMap { $0 }.joined(separator: "+") }

    /// What the script's probe says of it, for a side.
    func probe(of side: String) -> [String] {
        [self.ipv4.map { "\(side): \($0.probe)" }, self.ipv6.map { "\(side) over IPv6: \($0.probe)" }]
            .compactMap { $0 }
    }

    /// Whether two peers behind such NATs find each other by sending at the same time: not where UDP is blocked, and not
    /// where one side's port depends on the destination and the other lets in only the port that it was told.
    func isPunchable(with other: NATKind) -> Bool {
        if self.ipv6 != nil, other.ipv6 != nil { return true }
        guard let here = self.ipv4, let there = other.ipv4, !here.blocksPeers, !there.blocksPeers else { return false }
        if here == .symmetric { return there.acceptsAnyPort }
        return there != .symmetric || here.acceptsAnyPort
    }

    /// Whether it takes guesses (`--p2p-spread`): one side's port depends on the destination, and only the port that the
    /// other was told of is let in there.
    func isGuessable(with other: NATKind) -> Bool {
        guard !self.isPunchable(with: other), let here = self.ipv4, let there = other.ipv4 else { return false }
        return !here.blocksPeers && !there.blocksPeers && (here == .symmetric) != (there == .symmetric)
    }
}
