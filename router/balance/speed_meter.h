#pragma once

// How fast expert nodes really are: rows per busy time beside what they declared. Only ratios count. Thread-compatible.

#include <cstdint>
#include <map>
#include <string>

namespace atoll::router {

class SpeedMeter {
 public:
  // A node joined (anew): what was measured of an earlier life is forgotten. declared: above 0.
  void Join(const std::string& node, double declared);
  void Leave(const std::string& node) { nodes_.erase(node); }
  // Of one heartbeat.
  void Add(const std::string& node, uint64_t rows, uint64_t busy_us);

  // Compares the nodes. True where a speed changed by more than kChangeMin; smaller changes are kept back, so that
  // what follows from speeds does not flutter.
  bool Update();
  // Declared x measured, as of the last Update; 1 for a node that has not joined.
  double SpeedOf(const std::string& node) const;

  static constexpr double kChangeMin = 0.15;

 private:
  struct Measured {
    double declared = 1;
    double weight = 0, weighted_rate = 0;  // rows, and rows x (rows per microsecond); fading
    double busy_us = 0;                    // ever
    double factor = 1;                     // of the declared speed

    bool sure() const;
    double rate() const { return weighted_rate / weight / declared; }
  };

  std::map<std::string, Measured> nodes_;
};

}  // namespace atoll::router
