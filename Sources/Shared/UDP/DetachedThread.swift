import LibC
package import NIOCore

/// A thread for one endless or long task, with less of a stack than the system's 8 MiB, which nobody joins.
package final class DetachedThread {
    private static let stackSize = 256 << 10

    private let body: () -> Void

    private init(_ body: @escaping () -> Void) {
        self.body = body
    }

    /// Runs `body` on a thread of its own, which ends when that returns. What `body` refers to is for that thread alone from
    /// then on, unless it may be shared. Throws `IOError`.
    package static func start(_ body: @escaping () -> Void) throws(IOError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, Self.stackSize)
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        var thread = noThread
        let argument = Unmanaged.passRetained(DetachedThread(body))
        let error = pthread_create(
            &thread, &attributes,
            { (argument: ThreadArgument) in
                DetachedThread.run(argument)
                return nil
            }, argument.toOpaque())
        if error != 0 {
            argument.release()
            throw IOError(errnoCode: error, reason: "pthread_create")
        }
    }

    /// `argument`: a retained object of this class.
    private static func run(_ argument: UnsafeMutableRawPointer?) {
        guard let argument else { return }
        Unmanaged<DetachedThread>.fromOpaque(argument).takeRetainedValue().body()
    }
}

@available(*, unavailable)
extension DetachedThread: Sendable {}
