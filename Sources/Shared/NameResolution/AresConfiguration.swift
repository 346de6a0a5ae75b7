/// How c-ares is set up; what is left out comes from resolv.conf(5), which every channel reads anew.
struct AresConfiguration: Sendable {
    /// Where that is, in place of /etc/resolv.conf.
    var resolverConfiguration: String?
    /// The port of the name servers.
    var port: UInt16 = 53
    /// How long a name server has for the first of its tries, in milliseconds; for each further one twice as long.
    var timeout: Int32 = 1500
    /// How often each name server is asked: 1.5, 3 and 6 s, after which a connection attempt is given up as well.
    var tries: Int32 = 3
}
