import CLinuxProcess
import Testing

@testable import CommandSupport

@Suite(.serialized) struct DumpabilityTests {
    @Test func `a process can forbid core dumps and tracing`() {
        defer { _ = CLinuxProcess_set_dumpable(1) }
        Dumpability.turnOff()
        #expect(CLinuxProcess_get_dumpable() == 0)
    }
}
