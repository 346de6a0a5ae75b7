import Testing

@testable import NameResolution

@Suite struct HostSourcesTests {
    @Test(arguments: ["hosts: files dns", "", "passwd: files sss\n", "# hosts: wins\nhosts:files dns # myhostname\n"])
    func `c-ares stands in for files and DNS`(text: String) {
        let sources = HostSources(parsing: text)
        for name in ["host", "host.example.org", "host.local"] {
            #expect(!sources.areAlone(for: name))
            #expect(!sources.mayKnow(name))
        }
    }

    @Test func `mDNS names are not sent to name servers`() {
        let sources = HostSources(parsing: "hosts:\tfiles mdns4_minimal [NOTFOUND=return] dns\n")
        #expect(sources.areAlone(for: "printer.local"))
        #expect(sources.areAlone(for: "printer.LOCAL."))
        #expect(!sources.areAlone(for: "local"))
        #expect(!sources.areAlone(for: "printer.local.example.org"))
        #expect(!sources.mayKnow("printer"))
    }

    @Test func `modules of this machine are asked for single labels only`() {
        let sources = HostSources(parsing: "hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns")
        #expect(sources.mayKnow("container"))
        #expect(!sources.mayKnow("host.example.org"))
        #expect(sources.areAlone(for: "printer.local"))
    }

    @Test func `an unknown module is asked for any name`() {
        let sources = HostSources(parsing: "hosts: files [SUCCESS=return NOTFOUND=continue] sss dns")
        #expect(sources.mayKnow("host.example.org"))
        #expect(!sources.areAlone(for: "printer.local"))
    }
}
