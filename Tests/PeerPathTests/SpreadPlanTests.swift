import Basics
import ICE
import Testing

@testable import PeerPath

@Suite struct SpreadPlanTests {
    @Test func `ports are guessed where one side's mapping is not known, and not where UDP is blocked`() {
        func plan(_ local: MappingBehavior, _ peer: MappingBehavior) -> SpreadPlan {
            SpreadPlan(local: local, peer: peer, localSpread: 256, peerSpread: 256)
        }
        #expect(plan(.unknown, .addressAndPortDependent) == plan(.endpointIndependent, .addressAndPortDependent))
        #expect(plan(.addressAndPortDependent, .unknown) == plan(.addressAndPortDependent, .endpointIndependent))
        for other in [MappingBehavior.addressAndPortDependent, .endpointIndependent, .udpBlocked] {
            #expect(plan(.udpBlocked, other) == .none(.udpBlocked))
            #expect(plan(other, .udpBlocked) == .none(.udpBlocked))
        }
    }
}
