import Foundation

/// The Python environment that `make setup` made, and the scripts of the interoperation tests.
package enum Interpreter {
    /// The root of the checkout.
    package static let root: String = {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        return folder.path
    }()

    package static let python = Self.root + "/.build-venv/bin/python"

    /// The path of a script in `Tests/InteropTests`.
    package static func script(_ name: String) -> String { Self.root + "/Tests/InteropTests/" + name }
}
