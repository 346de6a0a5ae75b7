import CommandSupport
import FileWatch
import Logging
import NIOCore
import TLS

extension FileReloader where Loaded == Identity {
    /// Keeps a certificate up to date; `use` makes the listeners use it.
    static func certificate(
        _ files: CertificateFiles, loaded stamp: FileStamp?, eventLoop: any EventLoop, logger: Logger,
        use: @escaping (Identity) throws -> Void
    ) -> FileReloader {
        let source = Source(
            paths: files.paths, interval: .seconds(2), settling: .seconds(2),
            load: { try files.load() })
        return FileReloader(source, loaded: stamp, eventLoop: eventLoop) { loaded in
            do {
                let identity = try loaded.get()
                try use(identity)
                logger.info(
                    "certificate reloaded",
                    metadata: [
                        "event": "certificate.reloaded", "file": "\(files.certificate)",
                        "fingerprint": "\(identity.leafFingerprint)", "ends": "\(UnixTime.text(identity.leafEnd))",
                    ])
            } catch {
                logger.error(
                    "the certificate cannot be reloaded, the previous one stays in use: \(error)",
                    metadata: ["event": "certificate.reload_failed", "error": "\(error)"])
            }
        }
    }
}
