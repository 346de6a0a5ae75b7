/// The service manager's notification socket: systemd's, which there is on Linux only.
package enum ServiceManager {
    /// Tells nobody.
    package static func notify(_ state: String) {}
}
