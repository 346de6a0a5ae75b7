extension HostSources {
    /// What a machine without nsswitch.conf asks: macOS, whose name service is another one, has mDNS, directories, and name servers
    /// for some domains only.
    static let unlisted = HostSources(parsing: "hosts: files dns mdns directory")
}
