package import AppProto

/// Who hears what happens to a `SignalClient`. All calls come on its event loop.
package protocol SignalClientDelegate: AnyObject {
    /// The control connection is up, for the first time or again. Requests can be made.
    func signalConnected(_ session: SignalSession)
    /// The control connection is lost. The client is opening the next one.
    func signalLost()
    /// The server asks something, which wants an answer.
    func signalReceived(_ request: SignalRequest)
    /// The server tells something.
    func signalReceived(event: Envelope.Body)
    /// An attempt to connect has failed for a reason that may pass, and the next one will follow.
    func signalAttemptFailed(_ error: SignalConnectError)
}

extension SignalClientDelegate {
    package func signalAttemptFailed(_ error: SignalConnectError) {}
}
