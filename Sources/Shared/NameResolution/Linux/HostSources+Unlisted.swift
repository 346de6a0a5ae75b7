extension HostSources {
    /// What a machine without nsswitch.conf asks: what c-ares asks, too.
    static let unlisted = HostSources(parsing: "")
}
