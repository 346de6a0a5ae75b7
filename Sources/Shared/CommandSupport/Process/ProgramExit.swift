import LibC
import Synchronization

/// The end of the process.
package enum ProgramExit {
    private static let tasks = Mutex<[@Sendable () -> Void]>([])

    /// Has `task` done before the process ends by ``exit(_:)``; a short one.
    package static func beforehand(_ task: @escaping @Sendable () -> Void) {
        self.tasks.withLock { $0.append(task) }
    }

    /// Does what is to be done before the end.
    static func prepare() {
        let tasks = self.tasks.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in tasks { task() }
    }

    /// Ends the process.
    static func exit(_ status: Int32) -> Never {
        self.prepare()
        LibC.exit(status)
    }
}
