"""Semantic types and the units each of them takes.

A semantic type (Temperature) belongs to a family of units (TemperatureUnit), and a value of that
type must give a unit of the family. DTDL v2 has the types and units built in; DTDL v3 takes them
from the extension QuantitativeTypes, whose versions 1 and 2 know the same ones: those of v2 and the
later ones below. There is no dBm, and dB only for sound. Source: DTDL v2 specification; DTDL v3
QuantitativeTypes extension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Family:
    """A family of units, with the semantic types that take them, as words of one text.

    ``later_types`` and ``later_units`` are those that DTDL v2 does not have.
    """

    name: str
    types: str = ""
    units: str = ""
    later_types: str = ""
    later_units: str = ""


FAMILIES = (
    Family(
        "AccelerationUnit",
        types="Acceleration",
        units="centimetrePerSecondSquared gForce metrePerSecondSquared",
    ),
    Family(
        "AngleUnit",
        types="Angle Latitude Longitude",
        units="degreeOfArc minuteOfArc radian secondOfArc turn",
    ),
    Family(
        "AngularAccelerationUnit",
        types="AngularAcceleration",
        units="radianPerSecondSquared",
    ),
    Family(
        "AngularVelocityUnit",
        types="AngularVelocity",
        units="degreePerSecond radianPerSecond revolutionPerMinute revolutionPerSecond",
    ),
    Family(
        "ApparentEnergyUnit",
        later_types="ApparentEnergy",
        later_units="gigavoltAmpereHour kilovoltAmpereHour megavoltAmpereHour voltAmpereHour",
    ),
    Family(
        "ApparentPowerUnit",
        later_types="ApparentPower",
        later_units="gigavoltAmpere kilovoltAmpere megavoltAmpere millivoltAmpere voltAmpere",
    ),
    Family(
        "AreaUnit",
        types="Area",
        units=(
            "acre hectare squareCentimetre squareFoot squareInch squareKilometre "
            "squareMetre squareMillimetre"
        ),
    ),
    Family(
        "CapacitanceUnit",
        types="Capacitance",
        units="farad microfarad millifarad nanofarad picofarad",
    ),
    Family(
        "ChargeUnit",
        types="ElectricCharge",
        units="coulomb",
        later_units="ampereHour milliampereHour",
    ),
    Family(
        "CurrentUnit",
        types="Current",
        units="ampere microampere milliampere",
        later_units="kiloampere",
    ),
    Family(
        "DataRateUnit",
        types="DataRate",
        units=(
            "bitPerSecond bytePerSecond exbibitPerSecond exbibytePerSecond gibibitPerSecond "
            "gibibytePerSecond kibibitPerSecond kibibytePerSecond mebibitPerSecond "
            "mebibytePerSecond tebibitPerSecond tebibytePerSecond yobibitPerSecond "
            "yobibytePerSecond zebibitPerSecond zebibytePerSecond"
        ),
    ),
    Family(
        "DataSizeUnit",
        types="DataSize",
        units=(
            "bit byte exbibit exbibyte gibibit gibibyte kibibit kibibyte mebibit mebibyte "
            "tebibit tebibyte yobibit yobibyte zebibit zebibyte"
        ),
    ),
    Family(
        "DensityUnit",
        types="Density Humidity",
        units="gramPerCubicMetre kilogramPerCubicMetre",
        later_units="microgramPerCubicMetre milligramPerCubicMetre",
    ),
    Family(
        "EnergyUnit",
        types="Energy",
        units="electronvolt gigajoule joule kilojoule kilowattHour megaelectronvolt megajoule",
        later_units=(
            "britishThermalUnit gigawattHour kiloBritishThermalUnit megawattHour "
            "milliwattHour terawattHour wattHour"
        ),
    ),
    Family(
        "ForceUnit",
        types="Force Thrust",
        units="newton ounce pound ton",
    ),
    Family(
        "FrequencyUnit",
        types="Frequency",
        units="gigahertz hertz kilohertz megahertz",
        later_units="millihertz",
    ),
    Family(
        "IlluminanceUnit",
        types="Illuminance",
        units="footcandle lux",
    ),
    Family(
        "InductanceUnit",
        types="Inductance",
        units="henry microhenry millihenry",
    ),
    Family(
        "IonizingRadiationDoseUnit",
        later_types="IonizingRadiationDose",
        later_units="gray microgray microsievert milligray millisievert sievert",
    ),
    Family(
        "IrradianceUnit",
        later_types="Irradiance",
        later_units="wattPerSquareMetre",
    ),
    Family(
        "LengthUnit",
        types="Distance Length",
        units=(
            "astronomicalUnit centimetre foot inch kilometre metre micrometre mile "
            "millimetre nanometre nauticalMile"
        ),
    ),
    Family(
        "LuminanceUnit",
        types="Luminance",
        units="candelaPerSquareMetre",
    ),
    Family(
        "LuminousFluxUnit",
        types="LuminousFlux",
        units="lumen",
    ),
    Family(
        "LuminousIntensityUnit",
        types="LuminousIntensity",
        units="candela",
    ),
    Family(
        "MagneticFluxUnit",
        types="MagneticFlux",
        units="maxwell weber",
    ),
    Family(
        "MagneticInductionUnit",
        types="MagneticInduction",
        units="tesla",
        later_units="gauss",
    ),
    Family(
        "MassFlowRateUnit",
        types="MassFlowRate",
        units="gramPerHour gramPerSecond kilogramPerHour kilogramPerSecond",
        later_units="massPoundPerHour",
    ),
    Family(
        "MassUnit",
        types="Mass",
        units="gram kilogram microgram milligram slug tonne",
        later_units="massPound",
    ),
    Family(
        "PowerUnit",
        types="Luminosity Power",
        units=(
            "gigawatt horsepower kilowatt kilowattHourPerYear megawatt microwatt milliwatt watt"
        ),
        later_types="EnergyRate",
        later_units=(
            "britishThermalUnitPerHour gigajoulePerHour joulePerHour joulePerSecond "
            "kiloBritishThermalUnitPerHour kilojoulePerHour kilojoulePerSecond "
            "megajoulePerHour tonOfRefrigeration"
        ),
    ),
    Family(
        "PressureUnit",
        types="Pressure",
        units=(
            "bar inchesOfMercury inchesOfWater kilopascal millibar millimetresOfMercury "
            "pascal poundPerSquareInch"
        ),
        later_units="decapascal hectopascal",
    ),
    Family(
        "RadioactivityUnit",
        later_types="Radioactivity",
        later_units="becquerel gigabecquerel kilobecquerel megabecquerel",
    ),
    Family(
        "ReactiveEnergyUnit",
        later_types="ReactiveEnergy",
        later_units=(
            "gigavoltAmpereReactiveHour kilovoltAmpereReactiveHour "
            "megavoltAmpereReactiveHour voltAmpereReactiveHour"
        ),
    ),
    Family(
        "ReactivePowerUnit",
        later_types="ReactivePower",
        later_units=(
            "gigavoltAmpereReactive kilovoltAmpereReactive megavoltAmpereReactive "
            "millivoltAmpereReactive voltAmpereReactive"
        ),
    ),
    Family(
        "ResistanceUnit",
        types="Resistance",
        units="kiloohm megaohm milliohm ohm",
    ),
    Family(
        "SoundPressureUnit",
        types="SoundPressure",
        units="bel decibel",
    ),
    Family(
        "TemperatureUnit",
        types="Temperature",
        units="degreeCelsius degreeFahrenheit kelvin",
    ),
    Family(
        "TimeUnit",
        types="TimeSpan",
        units="day hour microsecond millisecond minute nanosecond second year",
    ),
    Family(
        "TorqueUnit",
        types="Torque",
        units="newtonMetre",
    ),
    Family(
        "Unitless",
        types="RelativeHumidity",
        units="percent unity",
        later_types="Concentration RelativeDensity",
        later_units="partsPerBillion partsPerMillion partsPerQuadrillion partsPerTrillion",
    ),
    Family(
        "VelocityUnit",
        types="Velocity",
        units=(
            "centimetrePerSecond kilometrePerHour kilometrePerSecond knot metrePerHour "
            "metrePerSecond milePerHour milePerSecond"
        ),
    ),
    Family(
        "VoltageUnit",
        types="Voltage",
        units="kilovolt megavolt microvolt millivolt volt",
    ),
    Family(
        "VolumeFlowRateUnit",
        types="VolumeFlowRate",
        units="litrePerHour litrePerSecond millilitrePerHour millilitrePerSecond",
        later_units=(
            "cubicFootPerMinute cubicMetrePerHour cubicMetrePerMinute cubicMetrePerSecond "
            "gallonPerHour gallonPerMinute litrePerMinute millilitrePerMinute"
        ),
    ),
    Family(
        "VolumeUnit",
        types="Volume",
        units=("cubicCentimetre cubicFoot cubicInch cubicMetre fluidOunce gallon litre millilitre"),
    ),
)

_PREFIX_WORDS = (
    "atto centi deci exa exbi femto gibi giga hecto kibi kilo mebi mega micro milli nano "
    "pebi peta pico tebi tera yobi yocto yotta zebi zepto zetta"
)
PREFIX_FAMILIES = frozenset({"BinaryPrefix", "DecimalPrefix"})

ALIASES: Mapping[str, str] = {"EnergyRateUnit": "PowerUnit"}
FAMILY_NAMES = frozenset(family.name for family in FAMILIES) | ALIASES.keys()


def prefixes(*, later: bool) -> frozenset[str]:
    """Return the prefixes of units; ten times is spelled in two ways, v2 has the other one."""
    return frozenset({*_PREFIX_WORDS.split(), "deca" if later else "deka"})


@cache
def family_names(*, later: bool) -> frozenset[str]:
    """Return the names of the families of units; ``later``: those beyond v2 too."""
    return FAMILY_NAMES if later else frozenset(f.name for f in FAMILIES if f.units)


@cache
def family_of_type(*, later: bool) -> Mapping[str, str]:
    """Return the name of the unit family by semantic type; ``later``: those beyond v2 too."""
    return {
        name: family.name
        for family in FAMILIES
        for name in f"{family.types} {family.later_types if later else ''}".split()
    }


@cache
def family_of_unit(*, later: bool) -> Mapping[str, str]:
    """Return the name of the family by unit; ``later``: those beyond v2 too."""
    return {
        name: family.name
        for family in FAMILIES
        for name in f"{family.units} {family.later_units if later else ''}".split()
    }


def members(family: str) -> tuple[str, ...]:
    """Return the units of a family, or the prefixes of one of the two families of prefixes."""
    if family in PREFIX_FAMILIES:
        binary = family == "BinaryPrefix"
        return tuple(sorted(p for p in prefixes(later=True) if p.endswith("bi") is binary))
    wanted = ALIASES.get(family, family)
    return tuple(u for u, of in family_of_unit(later=True).items() if of == wanted)
