import UDPRelay

/// Why datagrams of clients came to nothing at the agent: those of relays, and those of associations. The raw values label
/// metrics.
struct DropReason: Hashable, Sendable {
    let rawValue: String

    init(_ reason: RelayDropReason) { self.rawValue = reason.rawValue }
    init(_ reason: AssociationDrop) { self.rawValue = reason.rawValue }
    private init(rawValue: String) { self.rawValue = rawValue }

    /// Too much waited to be sent in the tunnel, or for too long.
    static let congested = DropReason(rawValue: "congested")
    /// Pieces of it were missing.
    static let incomplete = DropReason(rawValue: "incomplete")
    /// It was no frame, or of an association that is not there.
    static let foreign = DropReason(rawValue: "foreign")

    /// All that there are, each once.
    static let all: [DropReason] = {
        var all = RelayDropReason.allCases.map { DropReason($0) }
        let others = AssociationDrop.allCases.map { DropReason($0) } + [.congested, .incomplete, .foreign]
        all += others.filter { !all.contains($0) }
        return all
    }()
}
