import NIOCore
import Testing

@testable import AgentChoice

@Suite struct `channel health` {
    private static let now = NIODeadline.uptimeNanoseconds(1_000_000_000)

    enum Event: CaseIterable {
        case silentUnawaited, silentAwaited, flowsSilent, flowsSilentAfterLeaving
        case agentLost, agentLeft, awaited, alternativeFound, early, late
    }

    private static func healing(_ milliseconds: Int64) -> ChannelHealth {
        .healing(until: Self.now + .milliseconds(milliseconds))
    }

    /// What each event makes of each state; those that are not named change nothing.
    private static let table: [(ChannelHealth, [Event: ChannelHealth])] = [
        (
            .well,
            [
                .silentUnawaited: .silent, .silentAwaited: .suspect, .flowsSilent: Self.healing(7000),
                .flowsSilentAfterLeaving: .suspect,
            ]
        ),
        (.silent, [.awaited: .suspect]),
        (
            Self.healing(500),
            [
                .agentLost: Self.healing(1500), .agentLeft: .suspect, .alternativeFound: .suspect, .late: .suspect,
            ]
        ),
        (.suspect, [:]),
    ]

    @Test(arguments: Self.table.indices, Event.allCases)
    func `each event makes of each state what the table says`(row: Int, event: Event) {
        let (state, changes) = Self.table[row]
        var health = state
        switch event {
        case .silentUnawaited: health.connectionsFellSilent(isAwaited: false)
        case .silentAwaited: health.connectionsFellSilent(isAwaited: true)
        case .flowsSilent: health.flowsFellSilent(healing: .seconds(7), at: Self.now)
        case .flowsSilentAfterLeaving: health.flowsFellSilent(healing: nil, at: Self.now)
        case .agentLost: health.agentWent(healing: .milliseconds(1500), at: Self.now)
        case .agentLeft: health.agentWent(healing: nil, at: Self.now)
        case .awaited: health.awaited()
        case .alternativeFound: health.alternativeFound()
        case .early: health.timePassed(at: Self.now + .milliseconds(499))
        case .late: health.timePassed(at: Self.now + .milliseconds(500))
        }
        #expect(health == changes[event] ?? state)
    }
}
