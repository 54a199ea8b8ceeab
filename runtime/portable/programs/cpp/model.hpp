// The model for C++: what it owns is freed with it. The files in C do the work.
#pragma once

#include "fail.h"
#include "input.h"
#include "model.h"
#include "self_test.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

// The model in a folder. A process has one, for one thread at a time.
class Model {
public:
    Model(std::string folder, int threads)
        : folder_(std::move(folder)), backend_(model_open((folder_ + "/" + settings.model_file).c_str(), threads)) {}
    Model(const Model &) = delete;
    Model &operator=(const Model &) = delete;

    // Every output for one file per input, as real numbers.
    std::vector<std::vector<double>> run(const std::vector<std::string> &paths) const {
        std::vector<Tensor> inputs, outputs(static_cast<std::size_t>(settings.output_count));
        for (const auto &path : paths) inputs.push_back(read_input(path.c_str(), static_cast<int>(inputs.size())));
        model_run(inputs.data(), outputs.data());
        for (auto &input : inputs) std::free(input.data);
        std::vector<std::vector<double>> found;
        for (const auto &output : outputs) {
            found.emplace_back(count_of(&output));
            for (std::size_t i = 0; i < found.back().size(); i++) found.back()[i] = value_of(&output, i);
        }
        return found;
    }

    // 0 if every case of the bundle gives what is expected, else 1.
    int self_test() const { return ::self_test(folder_.c_str(), backend_); }

private:
    std::string folder_;
    const char *backend_;
};

struct ClassScore { std::string label; double probability; };

// The most likely classes, best first, from logits or probabilities.
inline std::vector<ClassScore> best_classes(std::vector<double> scores, std::size_t count) {
    if (scores.empty()) return {};
    const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
    const auto [least, most] = std::minmax_element(scores.begin(), scores.end());
    if (!settings.is_probability && (*least < 0 || std::abs(sum - 1) > 1e-3)) {
        const double largest = *most;
        for (auto &score : scores) score = std::exp(score - largest);
        const double whole = std::accumulate(scores.begin(), scores.end(), 0.0);
        for (auto &score : scores) score /= whole;
    }
    std::vector<std::size_t> places(scores.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    std::stable_sort(places.begin(), places.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
    std::vector<ClassScore> found;
    for (std::size_t i = 0; i < std::min(count, places.size()); i++) {
        const bool is_labelled = places[i] < static_cast<std::size_t>(settings.label_count);
        found.push_back({is_labelled ? settings.labels[places[i]] : std::to_string(places[i]), scores[places[i]]});
    }
    return found;
}
