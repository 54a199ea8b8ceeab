// A model in a program of its own:
//
//     ./model INPUT...       prints what the model gives for each file; a model of several inputs takes one file for each
//     ./model --self-test    runs the cases of the bundle, and compares the outputs with those expected
//
// EDGEKIT_THREADS is the number of threads, 1 otherwise. Exit codes: 0 done, 1 a case fails, 2 a wrong input, 3 something
// is missing, 5 the model does not load.
#include "model.hpp"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iomanip>
#include <iostream>

namespace {

constexpr std::size_t top = 5, most_shown = 64;

void print_classes(const std::vector<double> &output) {
    for (const auto &one : best_classes(output, top))
        std::cout << "  " << std::fixed << std::setprecision(2) << std::setw(6) << 100 * one.probability << " %  "
                  << one.label << '\n';
}

void print_output(std::size_t place, const std::vector<double> &output) {
    std::cout << "  output " << place << "  [";
    for (std::size_t i = 0; i < std::min(output.size(), most_shown); i++)
        std::cout << (i ? ", " : "") << std::defaultfloat << std::setprecision(9) << output[i];
    if (output.size() > most_shown) std::cout << ", ... " << output.size() << " in all";
    std::cout << "]\n";
}

}  // namespace

int main(int count, char **words) {
    const std::vector<std::string> arguments(words + 1, words + count);
    const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const char *threads = std::getenv("EDGEKIT_THREADS");
    const bool is_test = arguments.size() == 1 && arguments[0] == "--self-test";
    if (arguments.empty() || (arguments[0][0] == '-' && !is_test)) fail(WRONG_INPUT, "usage: model INPUT... | --self-test");
    const auto inputs = static_cast<std::size_t>(settings.input_count);
    if (!is_test && arguments.size() % inputs)
        fail(WRONG_INPUT, "the model takes %d inputs: one file for each", settings.input_count);

    const Model model(folder, threads ? std::atoi(threads) : 1);
    if (is_test) return model.self_test();
    for (auto first = arguments.begin(); first != arguments.end(); first += static_cast<std::ptrdiff_t>(inputs)) {
        const auto outputs = model.run({first, first + static_cast<std::ptrdiff_t>(inputs)});
        std::cout << *first << '\n';
        if (settings.is_classification) print_classes(outputs[0]);
        else for (std::size_t place = 0; place < outputs.size(); place++) print_output(place, outputs[place]);
    }
}
