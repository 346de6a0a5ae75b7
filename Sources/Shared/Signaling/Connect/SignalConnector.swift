import NIOCore

/// Opens the link of a control connection. One implementation a transport; tests have their own.
protocol SignalConnector {
    /// Tries once. `completion` is called exactly once, on `eventLoop`, not from inside this call.
    func connect(
        on eventLoop: any EventLoop, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void)
}

extension SignalConnectError {
    /// How long one address, or one step after the connection, may take.
    static let stepTimeout = TimeAmount.seconds(5)
}
