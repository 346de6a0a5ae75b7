/// What these tests need and the programs do not have yet.
enum Awaited {
    /// Datagrams by way of the server, and `--p2p`.
    static let bridge = true
    /// ICE restart, when addresses change or a path is lost.
    static let roaming = true
    /// Path MTU discovery for the datagram channel.
    static let pathMTU = true
    /// `--p2p-spread`.
    static let spread = true
}
