package import ArgumentParser

/// The server's URL, and how its certificate is checked.
package struct ServerConnectionOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The server: https://host[:port][/prefix], quic://host[:port], or http:// for a server behind a proxy that "
                + "terminates TLS.",
            valueName: "url"))
    package var url: String

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
}
