import Basics
package import CommandSupport
import HostNetwork
package import Logging
package import NIOCore

extension PeerOptions {
    /// Says which `--p2p-interface` there is not, at once and every five minutes, and when it is there: one may come later, as
    /// those of VPNs do, and until then paths to peers do without it.
    package func watchInterfaces(on eventLoop: any EventLoop, logger: Logger) {
        guard !self.interfaces.isEmpty else { return }
        let names = self.interfaces
        let watch = NIOLoopBoundBox.makeBoxSendingValue(InterfaceWatch(names: names), eventLoop: eventLoop)
        eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: InterfaceWatch.interval) { _ in
            guard let addresses = try? InterfaceAddress.all() else { return }
            let present = Set(addresses.map(\.interface))
            watch.value.look(at: present, at: eventLoop.now)?.log(to: logger)
        }
    }
}

/// Compares the interfaces that are wanted with those that there are. A value without a clock.
struct InterfaceWatch {
    /// How often to look.
    static let interval = TimeAmount.seconds(10)

    /// Something to tell.
    enum Notice: Equatable {
        case missing([String], present: [String])
        /// All are there, after so long.
        case complete(after: TimeAmount)
    }

    private let names: [String]
    private var trouble = Trouble<[String]>()

    init(names: [String]) { self.names = names }

    /// Looks at the interfaces that there are and have an address.
    mutating func look(at present: Set<String>, at now: NIODeadline) -> Notice? {
        let missing = self.names.filter { !present.contains($0) }
        guard missing.isEmpty else {
            return self.trouble.occurred(missing, at: now).map { _ in .missing(missing, present: present.sorted()) }
        }
        return self.trouble.ended(at: now).map { .complete(after: $0) }
    }
}

extension InterfaceWatch.Notice {
    fileprivate func log(to logger: Logger) {
        switch self {
        case .missing(let names, let present):
            let list = names.joined(separator: ",")
            logger.warning(
                "--p2p-interface \(list): there is no such interface, or it has no address; paths to peers do without it",
                metadata: [
                    "event": "interface.missing", "missing": "\(list)",
                    "present": "\(present.joined(separator: ","))",
                ])
        case .complete(let time):
            logger.info(
                "all interfaces of --p2p-interface are there, after \(time.words)",
                metadata: ["event": "interface.found", "after_s": .stringConvertible(time.wholeSeconds)])
        }
    }
}
