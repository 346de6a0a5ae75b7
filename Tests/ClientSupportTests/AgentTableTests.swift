import AppProto
import Basics
import Testing

@testable import ClientSupport

@Suite struct `agent table` {
    @Test func `has a line for each agent, by name, in columns`() throws {
        let ids = try ["a", "b"].map { try #require(InstanceID(rawValue: String(repeating: $0, count: 32))) }
        var office = AgentInfo(
            name: "office", instanceID: ids[0], expireAtMilliseconds: 1_795_471_052_999, address: "192.0.2.1:5",
            software: "rtun-agent/0.1.0", labels: ["site": "b", "os": "linux"])
        office.mapping = .portIndependent
        office.key = CertificateFingerprint(bytes: [UInt8](repeating: 0xFB, count: 32)).map {
            ProvedKey(fingerprint: $0, isKept: true)
        }
        let table = AgentTable(agents: [
            office,
            AgentInfo(name: "home", instanceID: ids[1], address: "[2001:db8::1]:5", software: ""),
        ])
        #expect(
            table.text == """
                NAME    INSTANCE                          EXPIRES               ADDRESS          NAT               SOFTWARE          IDENTITY                                            LABELS
                home    bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  never                 [2001:db8::1]:5  unknown           -                 without identity                                    -
                office  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  2026-11-23T21:57:32Z  192.0.2.1:5      port-independent  rtun-agent/0.1.0  SHA256:+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s  os=linux,site=b

                """)
    }

    @Test func `says which keys the server lists`() throws {
        let id = try #require(InstanceID(rawValue: String(repeating: "a", count: 32)))
        let key = try #require(CertificateFingerprint(bytes: [UInt8](repeating: 1, count: 32)))
        var agent = AgentInfo(
            name: "x", instanceID: id, address: "", software: "", key: ProvedKey(fingerprint: key, isKept: true))
        #expect(!AgentTable(agents: [agent]).text.contains("listed"))
        agent.isKeyListed = true
        #expect(AgentTable(agents: [agent]).text.contains("\(key) (listed)  -"))
    }

    @Test func `has its headings when there is nobody`() {
        #expect(AgentTable(agents: []).text == "NAME  INSTANCE  EXPIRES  ADDRESS  NAT  SOFTWARE  IDENTITY  LABELS\n")
    }

    @Test func `an expiry beyond the calendar does no harm`() throws {
        let id = try #require(InstanceID(rawValue: String(repeating: "a", count: 32)))
        let agent = AgentInfo(name: "x", instanceID: id, expireAtMilliseconds: .max, address: "", software: "")
        #expect(AgentTable(agents: [agent]).text.contains("x     \(id)"))
    }
}
