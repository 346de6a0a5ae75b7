import NIOCore

/// Opens the link of a control connection. One implementation a transport; tests have their own.
protocol SignalConnector {
    /// Tries once. `completion` is called exactly once, on `eventLoop`, not from inside this call.
    func connect(
        on eventLoop: any EventLoop, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void)
    /// A link that it has opened carried nothing, or nothing any more, without a word from the server.
    func linkFailed(_ link: any SignalLink)
}

extension SignalConnector {
    func linkFailed(_ link: any SignalLink) {}
}

extension SignalConnectError {
    /// How long one address, or one step after the connection, may take.
    static let stepTimeout = TimeAmount.seconds(5)
}
