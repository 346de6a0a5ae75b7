import CLinuxProcess
import Testing

@testable import CommandSupport

@Suite(.serialized) struct DumpabilityTests {
    @Test func `a process that has turned it off is written to no file, and looked into by nobody`() {
        defer { _ = CLinuxProcess_set_dumpable(1) }
        Dumpability.turnOff()
        #expect(CLinuxProcess_get_dumpable() == 0)
    }
}
