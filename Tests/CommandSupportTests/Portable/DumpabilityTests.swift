import LibC
import Testing

@testable import CommandSupport

@Suite(.serialized) struct DumpabilityTests {
    @Test func `a process that has turned it off is written to no file`() {
        Dumpability.turnOff()
        var limit = rlimit()
        #expect(getrlimit(ResourceLimit.coreFileSize, &limit) == 0)
        #expect(limit.rlim_cur == 0)
        #expect(limit.rlim_max == 0)
    }
}
