package import ArgumentParser

/// Where the server is, and how its certificate is checked.
package struct ServerConnectionOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The server: a link as rtun-server --print-links prints it, between single quotes ('rtun://…'); or "
                + "https://host[:port][/prefix], quic://host[:port], or http:// for a server behind a proxy that terminates "
                + "TLS.",
            valueName: "url"))
    package var url: String?

    @Option(
        name: .customLong("link"),
        help: ArgumentHelp(
            "The link to the server, as in place of the URL; the environment variable RTUN_LINK keeps it out of the "
                + "shell's history.",
            valueName: "link"))
    package var link: String?

    @Option(
        name: .customLong("link-file"),
        help: ArgumentHelp(
            "Read the link to the server from this file: what rtun-server --print-links prints, or a line of it.",
            valueName: "file"))
    package var linkFile: String?

    @Option(
        name: .customLong("ca-cert"),
        help: ArgumentHelp(
            "Trust the certificate authorities in this PEM file instead of the system's; it can also hold the server's "
                + "own certificate.",
            valueName: "file"))
    package var caCertificate: String?

    @Flag(
        name: .customLong("https-insecure"),
        help: ArgumentHelp(
            "Do not check the certificate of an https:// server. The proof of the secret is still bound to the "
                + "connection."))
    package var httpsInsecure = false

    @Flag(
        name: .customLong("quic-insecure"),
        help: ArgumentHelp(
            "Do not check the certificate of a quic:// server. The proof of the secret is still bound to the "
                + "connection."))
    package var quicInsecure = false

    package init() {}

    /// Whether the server is said in one way, and no more.
    package mutating func validate() throws {
        let given = [("a URL", self.url != nil), ("--link", self.link != nil), ("--link-file", self.linkFile != nil)]
            .filter { $0.1 }.map { $0.0 }
        guard given.count < 2 else { throw ValidationError("give either \(given[0]) or \(given[1]), not both") }
    }
}
