package import CommandSupport
import HostNetwork
package import Logging
package import NIOCore

extension PeerOptions {
    /// Says which `--p2p-interface` there is not, now and every minute: one may come later, as those of VPNs do, and until
    /// then paths to peers do without it.
    package func watchInterfaces(on eventLoop: any EventLoop, logger: Logger) {
        guard !self.interfaces.isEmpty else { return }
        let names = self.interfaces
        eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(60)) { _ in
            guard let addresses = try? InterfaceAddress.all() else { return }
            let present = Set(addresses.map(\.interface))
            let missing = names.filter { !present.contains($0) }
            guard !missing.isEmpty else { return }
            logger.warning(
                "--p2p-interface names an interface that does not exist or has no address; it is not used for paths to peers",
                metadata: [
                    "event": "interface.missing", "missing": "\(missing.joined(separator: ","))",
                    "present": "\(present.sorted().joined(separator: ","))",
                ])
        }
    }
}
