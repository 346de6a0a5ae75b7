import CommandSupport

/// The way into the program.
@main
enum Main {
    static func main() async {
        await ProgramMain.run(ServerCommand.self)
    }
}
